//! Ids in the API's form: `xxxx-xxxx`, eight digits of base 32.

/// The letters of an id, without those that are easily misread (0, 1, l, o). They are in byte order, so
/// ids sort as the numbers that they represent.
pub const LETTERS: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";

/// The number of ids: 32 letters in eight places.
pub const ID_SPACE: u64 = 1 << 40;

/// The id of a number below [`ID_SPACE`]. Of a greater number only the low 40 bits count.
#[must_use]
pub fn spell(number: u64) -> String {
    let mut id = String::with_capacity(9);
    for place in (0_u32..8).rev() {
        let digit = (number >> (5 * place)) & 31;
        id.push(char::from(LETTERS[usize::try_from(digit).unwrap_or_default()]));
        if place == 4 {
            id.push('-');
        }
    }
    id
}

/// Whether a text is an id: two groups of four of the [`LETTERS`] with a `-` between them.
#[must_use]
pub fn is_well_formed(id: &str) -> bool {
    let bytes = id.as_bytes();
    bytes.len() == 9
        && bytes.iter().enumerate().all(|(place, byte)| match place {
            4 => *byte == b'-',
            _ => LETTERS.contains(byte),
        })
}
