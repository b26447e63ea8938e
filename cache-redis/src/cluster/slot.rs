//! Which slot of a cluster a name lies in.
//!
//! The lowest 14 bits of the CRC16 (XMODEM) of what stands between the first `{` and the `}` after it, or of the
//! whole name if that is nothing: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>.

/// How many slots a cluster has.
pub(crate) const SLOTS: u16 = 1 << 14;

/// The slot of a name.
pub(crate) fn of(name: &[u8]) -> u16 {
    crc16(hashed(name)) % SLOTS
}

fn hashed(name: &[u8]) -> &[u8] {
    let place = |of: &[u8], byte| of.iter().position(|&other| other == byte);
    let Some(open) = place(name, b'{') else { return name };
    let behind = &name[open + 1..];
    match place(behind, b'}') {
        Some(length) if length > 0 => &behind[..length],
        _ => name,
    }
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| (crc << 8) ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)])
}

static TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut crc = (at as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        // As `CLUSTER KEYSLOT` of Redis 7.0.15 answers.
        for (name, slot) in [
            ("somekey", 11058),
            ("foo{hash_tag}", 2515),
            ("{user1000}.following", of(b"user1000")),
            ("foo{}{bar}", of(b"foo{}{bar}")),
            ("foo{{bar}}zap", of(b"{bar")),
            ("foo{bar}{zap}", of(b"bar")),
            ("", 0),
        ] {
            assert_eq!(of(name.as_bytes()), slot, "{name}");
        }
    }
}
