//! The canonical form of arguments: tagged, self-delimiting bytes. This is a format: `tests/golden/keys.txt` pins it.
//!
//! Arguments are written one after the other. Each value starts with a tag byte that says where it
//! ends, so no value is the beginning of another and their sequence can be taken apart in one way only.
//! [`super::reader`] does that, strictly: it accepts exactly the bytes that the serializer can write.
//!
//! | tag | value |
//! |---|---|
//! | `00` | `()`, a unit struct |
//! | `01`, `02` value | `None`, `Some` |
//! | `03`, `04` | `false`, `true` |
//! | `05` 3 bytes | `char`, its number, lowest byte first |
//! | `06` 8 bytes | float; `f32` is widened, `-0.0` is `0.0`, every NaN is one NaN |
//! | `07` length bytes | text of 64 bytes or more; lengths are LEB128 in their shortest form |
//! | `80`..`BF` bytes | text of up to 63 bytes; the length is in the tag |
//! | `08` length bytes | bytes (`serialize_bytes`) |
//! | `09` values `FF` | sequence, array, tuple, tuple struct |
//! | `0A` pairs `FF` | map; sorted by the bytes of the keys, equal keys kept in their order |
//! | `0B` names and values `FF` | struct; a name is text |
//! | `0C` name | unit variant |
//! | `0D` name value | newtype variant |
//! | `0E` name values `FF` | tuple variant |
//! | `0F` name, names and values, `FF` | struct variant |
//! | `10`..`20` n bytes | integer from zero up, in n = 0 to 16 bytes, lowest first, no leading zero |
//! | `30`..`40` n bytes | integer below zero, as the integer `-1 - i` |
//! | `50` 32 bytes | a secret: the keyed BLAKE3 digest of the canonical form of its value |
//! | `51` 32 bytes | arguments above 200 bytes, in this form or as text: the BLAKE3 digest of this form; stands alone |
//!
//! What is *not* told apart, and why that is sound within one function, where each argument has one type:
//!
//! - Integers of all widths, so that `5_u8` and `5_u64` name the same entry; the same for `f32` and `f64`, and for
//!   sequences, tuples and arrays.
//! - A newtype struct and what it wraps; a unit struct and `()`; the names of structs. The type of an argument
//!   fixes them, so they would cost bytes and say nothing.
//! - Field names *are* written. A type may skip fields (`skip_serializing_if`), and `#[serde(untagged)]` variants
//!   may have the same values under different names: `ById { id }` and `ByPlace { place }` must not share.
//! - Variants go by name, not index: the index moves when a variant is inserted, and then two
//!   deploys that share a Redis would read each other's entries.
//!
//! A key is no finer than the type's `Serialize`. Two values that it writes alike (untagged variants with
//! the same content, skipped fields) are one key; say what counts with `key = (..)`. A `HashSet` writes a sequence
//! in random order, so it hits only by luck: use a `BTreeSet`. `HashMap` is fine: maps are sorted.

pub(super) const UNIT: u8 = 0x00;
pub(super) const NONE: u8 = 0x01;
pub(super) const SOME: u8 = 0x02;
pub(super) const FALSE: u8 = 0x03;
pub(super) const TRUE: u8 = 0x04;
pub(super) const CHAR: u8 = 0x05;
pub(super) const FLOAT: u8 = 0x06;
pub(super) const TEXT: u8 = 0x07;
pub(super) const BYTES: u8 = 0x08;
pub(super) const SEQUENCE: u8 = 0x09;
pub(super) const MAP: u8 = 0x0A;
pub(super) const STRUCT: u8 = 0x0B;
pub(super) const UNIT_VARIANT: u8 = 0x0C;
pub(super) const NEWTYPE_VARIANT: u8 = 0x0D;
pub(super) const TUPLE_VARIANT: u8 = 0x0E;
pub(super) const STRUCT_VARIANT: u8 = 0x0F;
/// Plus the number of bytes.
pub(super) const FROM_ZERO: u8 = 0x10;
/// Plus the number of bytes.
pub(super) const BELOW_ZERO: u8 = 0x30;
pub(super) const SECRET: u8 = 0x50;
pub(super) const DIGEST: u8 = 0x51;
/// Plus the length.
pub(super) const SHORT_TEXT: u8 = 0x80;
pub(super) const END: u8 = 0xFF;

/// Texts shorter than this have their length in the tag.
pub(super) const SHORT_TEXT_END: usize = 64;
/// The bytes of an integer at most.
pub(super) const INTEGER_LENGTH: u8 = 16;
/// The bytes of a digest.
pub(super) const DIGEST_LENGTH: usize = 32;
/// How deep values may nest. More is an error, not a stack overflow.
pub(super) const DEPTH: usize = 128;
/// Arguments above this many bytes, canonical or as text, are replaced by their digest.
pub(super) const LIMIT: usize = 200;
