//! Numbers, spans and short floats of the frame, and the cursor that reads them.

use std::time::Duration;

use super::FrameError;

/// Bits of a short float's mantissa.
const MANTISSA: u32 = 11;

/// The longest span, in milliseconds: what is longer is written as this. Doubled, it still fits 63 bits.
const LONGEST: u64 = u64::MAX >> 2;

/// Appends LEB128.
pub(super) fn write(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// Appends a duration: whole seconds doubled, or milliseconds doubled plus one.
pub(super) fn write_span(into: &mut Vec<u8>, span: Duration) {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).min(LONGEST);
    if millis.is_multiple_of(1000) {
        write(into, millis / 1000 * 2);
    } else {
        write(into, millis * 2 + 1);
    }
}

/// Appends microseconds as mantissa and exponent, rounded down; what is too large becomes the largest.
pub(super) fn write_short_float(into: &mut Vec<u8>, span: Duration) {
    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX).min(largest());
    let exponent = (u64::BITS - micros.leading_zeros()).saturating_sub(MANTISSA);
    let bits = (exponent as u16) << MANTISSA | (micros >> exponent) as u16;
    into.extend(bits.to_le_bytes());
}

const fn largest() -> u64 {
    ((1 << MANTISSA) - 1) << ((1 << (u16::BITS - MANTISSA)) - 1)
}

/// Reads a frame from its beginning. Never copies, never panics.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], FrameError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(FrameError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(FrameError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, FrameError> {
        self.array().map(|[byte]| byte)
    }

    /// LEB128 of at most 63 bits, in its shortest form.
    pub(super) fn number(&mut self) -> Result<u64, FrameError> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                let is_shortest = byte != 0 || shift == 0;
                return if is_shortest { Ok(number) } else { Err(FrameError::BadNumber) };
            }
        }
        Err(FrameError::BadNumber)
    }

    /// How many things of `size` bytes follow: never more than there is room for.
    pub(super) fn count(&mut self, size: usize) -> Result<usize, FrameError> {
        let number = self.number()?;
        self.fitting(number, size)
    }

    /// `number` as a count, if as many things of `size` bytes can follow.
    pub(super) fn fitting(&self, number: u64, size: usize) -> Result<usize, FrameError> {
        let count = usize::try_from(number).map_err(|_| FrameError::Truncated)?;
        let fits = count.checked_mul(size).is_some_and(|bytes| bytes <= self.rest.len());
        if fits { Ok(count) } else { Err(FrameError::Truncated) }
    }

    /// Refuses what [`write_span`] does not write: milliseconds that are whole seconds, and more than the longest.
    pub(super) fn span(&mut self) -> Result<Duration, FrameError> {
        let number = self.number()?;
        let is_seconds = number & 1 == 0;
        let millis = (number >> 1).checked_mul(if is_seconds { 1000 } else { 1 });
        match millis {
            Some(millis) if millis <= LONGEST && millis.is_multiple_of(1000) == is_seconds => {
                Ok(Duration::from_millis(millis))
            }
            _ => Err(FrameError::BadNumber),
        }
    }

    pub(super) fn short_float(&mut self) -> Result<Duration, FrameError> {
        let bits = u16::from_le_bytes(self.array()?);
        let (exponent, mantissa) = (bits >> MANTISSA, u64::from(bits & ((1 << MANTISSA) - 1)));
        // All but the smallest have their upper bit set, or there would be two forms of one number.
        if exponent > 0 && mantissa >> (MANTISSA - 1) == 0 {
            return Err(FrameError::BadNumber);
        }
        Ok(Duration::from_micros(mantissa << exponent))
    }
}
