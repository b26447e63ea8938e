//! Why bytes are not a frame.

use std::fmt;

/// Why bytes are not a frame. To a call it is a miss; the reason goes to the statistics and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// They do not begin like a frame: another program wrote them.
    NotAFrame,
    /// Another version of the format: an older or newer Larder wrote them.
    Version(u8),
    /// They end early.
    Truncated,
    /// They go on behind the end.
    Trailing,
    /// A number is not in its shortest form, or out of range.
    BadNumber,
    /// The name of a tag is not UTF-8.
    BadTag,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFrame => f.write_str("the bytes do not begin like a frame"),
            Self::Version(version) => write!(f, "the frame has version {version} of the format"),
            Self::Truncated => f.write_str("the frame ends early"),
            Self::Trailing => f.write_str("bytes follow behind the frame"),
            Self::BadNumber => {
                f.write_str("a number of the frame is out of range or not in its shortest form")
            }
            Self::BadTag => f.write_str("the name of a tag in the frame is not UTF-8"),
        }
    }
}

impl std::error::Error for FrameError {}
