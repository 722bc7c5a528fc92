//! Ids as the API makes them: `xxxx-xxxx`, eight digits of base 32.

/// The letters of an id. They leave out what is easily misread (0, 1, l, o), and stand in byte order, so
/// that ids sort as the numbers that they spell.
pub const LETTERS: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";

/// How many ids there are: 32 letters in eight places.
pub const ID_SPACE: u64 = 1 << 40;

/// The id that spells a number below [`ID_SPACE`]; of a greater one its low 40 bits.
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
