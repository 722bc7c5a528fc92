//! Digests of JSON values: 128 bits each, combined from the leaves up while a text is parsed.
//!
//! The digest of a list depends on the order of its elements. The digests of objects, sets and parallel columns are
//! sums, so nothing has to be sorted. Each part is mixed before it is added, and the number of parts is mixed in.
//!
//! In practice two different contents never have the same digest by chance. XXH3 is not a cryptographic hash: the owner
//! of an asset could construct two contents with the same digest, and so hide a change from the copy. They gain nothing
//! by that, because they could also make no change. So a hash that takes 60 ns per value instead of 3 ns is not worth
//! its cost.

use twox_hash::{XxHash3_64, XxHash3_128};

/// Constants that distinguish the digests of different types. Their values are arbitrary.
const NULL: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834;
const FALSE: u128 = 0x1082_276b_f3a2_7251_d0e8_9e1c_6a09_e667;
const TRUE: u128 = 0xbb67_ae85_84ca_a73b_3c6e_f372_fe94_f82b;
const NUMBER: u128 = 0xa54f_f53a_5f1d_36f1_510e_527f_ade6_82d1;
const LIST: u128 = 0x9b05_688c_2b3e_6c1f_1f83_d9ab_fb41_bd6b;
const OBJECT: u64 = 0x5be0_cd19_137e_2179;
const SET: u64 = 0xcbbb_9d5d_c105_9ed8;
const ELEMENT: u64 = 0x629a_292a_367c_d507;
const COLUMNS: u64 = 0x9159_015a_3070_dd17;
const COMBINED: u64 = 0x47b5_481d_befa_4fa4;
const COLUMN: u64 = 0x152f_ecd8_f70e_5939;
const ARRAY: u128 = 0x6733_2667_ffc0_0b31_8eb4_4a87_6858_1511;

/// Odd factors: multiplication by an odd number is invertible, so distinct digests stay distinct.
const SPREAD: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;
const FIRST: u128 = 0xff51_afd7_ed55_8ccd_c4ce_b9fe_1a85_ec53;
const SECOND: u128 = 0x8764_000b_f542_d2d3_a0c5_e89a_41ed_558d;

/// Mixes a number into a digest. For each number this is a bijection, so distinct digests stay distinct.
fn mix(digest: u128, number: u64) -> u128 {
    let mut mixed = digest ^ u128::from(number).wrapping_mul(SPREAD);
    mixed = (mixed ^ (mixed >> 67)).wrapping_mul(FIRST);
    mixed = (mixed ^ (mixed >> 59)).wrapping_mul(SECOND);
    mixed ^ (mixed >> 64)
}

/// The digest of a decoded text.
pub(super) fn text(text: &str) -> u128 {
    XxHash3_128::oneshot(text.as_bytes())
}

/// The digest of a number by its spelling.
pub(super) fn number(spelled: &str) -> u128 {
    XxHash3_128::oneshot(spelled.as_bytes()) ^ NUMBER
}

pub(super) const fn boolean(is_true: bool) -> u128 {
    if is_true { TRUE } else { FALSE }
}

pub(super) const fn null() -> u128 {
    NULL
}

/// The digest of a member's name.
pub(super) fn name(name: &str) -> u64 {
    XxHash3_64::oneshot(name.as_bytes())
}

/// Combines the digests of two values. The order matters.
pub(super) fn combine(digest: u128, other: u128) -> u128 {
    mix(mix(digest, COMBINED) ^ other, COMBINED)
}

/// The members of an object, in any order.
#[derive(Default)]
pub(super) struct Members {
    sum: u128,
    count: u64,
}

impl Members {
    pub(super) fn add(&mut self, name: u64, value: u128) {
        self.sum = self.sum.wrapping_add(mix(value, name));
        self.count += 1;
    }

    pub(super) fn finish(&self) -> u128 {
        mix(mix(self.sum, self.count), OBJECT)
    }
}

/// The elements of a list, in their order.
pub(super) struct List {
    digest: u128,
    count: u64,
}

impl List {
    pub(super) const fn new() -> Self {
        Self { digest: LIST, count: 0 }
    }

    pub(super) fn add(&mut self, element: u128) {
        self.count += 1;
        self.digest = mix(self.digest ^ element, self.count);
    }

    pub(super) const fn finish(&self) -> u128 {
        self.digest
    }
}

/// The elements of a multiset, in any order.
#[derive(Default)]
pub(super) struct Multiset {
    sum: u128,
    count: u64,
}

impl Multiset {
    pub(super) fn add(&mut self, element: u128) {
        self.sum = self.sum.wrapping_add(mix(element, ELEMENT));
        self.count += 1;
    }

    pub(super) fn finish(&self) -> u128 {
        mix(mix(self.sum, self.count), SET)
    }
}

/// The column arrays. They are hashed as a multiset of tuples if they are parallel, and as lists otherwise.
#[derive(Default)]
pub(super) struct Columns {
    /// For each column the sum of its elements so far.
    tuples: Vec<u128>,
    /// The sum of the arrays' names.
    names: u128,
    arrays: u64,
    /// The arrays as ordinary lists, in case they are not parallel.
    lists: Members,
    /// Whether the arrays are not parallel: their lengths differ, or a field is not an array.
    uneven: bool,
}

impl Columns {
    /// Without arrays. Memory is reserved for this number of columns.
    pub(super) fn with_capacity(columns: usize) -> Self {
        Self { tuples: Vec::with_capacity(columns), ..Self::default() }
    }

    /// Records that a field with the name of a column array is not an array.
    pub(super) const fn set_uneven(&mut self) {
        self.uneven = true;
    }

    /// Adds an element of the array with this name. The elements of an array must be added in order.
    pub(super) fn add(&mut self, name: u64, index: usize, element: u128) {
        let element = mix(element, name);
        match self.tuples.get_mut(index) {
            Some(tuple) => *tuple = tuple.wrapping_add(element),
            None if self.arrays == 0 => self.tuples.push(element),
            None => self.uneven = true,
        }
    }

    /// Ends the array with this name. `count` is the number of its elements, and `list` its digest as a list.
    pub(super) fn end_array(&mut self, name: u64, count: usize, list: u128) {
        self.uneven |= count != self.tuples.len();
        self.names = self.names.wrapping_add(mix(ARRAY, name));
        self.arrays += 1;
        self.lists.add(name, list);
    }

    /// Adds the arrays to the object that contains them.
    pub(super) fn add_to(&self, object: &mut Members) {
        if self.arrays == 0 {
            return;
        }
        if self.uneven {
            object.sum = object.sum.wrapping_add(self.lists.sum);
            object.count += self.lists.count;
            return;
        }
        let tuples = self.tuples.iter().fold(self.names, |sum, tuple| sum.wrapping_add(mix(*tuple, COLUMN)));
        object.add(COLUMNS, mix(tuples, self.tuples.len() as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_counts_only_in_a_list() {
        let list = |elements: &[&str]| {
            let mut list = List::new();
            elements.iter().for_each(|element| list.add(text(element)));
            list.finish()
        };
        let set = |elements: &[&str]| {
            let mut set = Multiset::default();
            elements.iter().for_each(|element| set.add(text(element)));
            set.finish()
        };
        assert_eq!((set(&["a", "b"]), list(&["a"])), (set(&["b", "a"]), list(&["a"])));
        let all =
            [list(&["a", "b"]), list(&["b", "a"]), list(&["a"]), list(&[]), set(&["a", "b"]), set(&["a"])];
        let others = [set(&["a", "a"]), set(&[]), text("a"), text("1"), number("1"), number("1.0"), null()];
        let all: Vec<u128> = all.into_iter().chain(others).chain([boolean(true), boolean(false)]).collect();
        for (index, digest) in all.iter().enumerate() {
            assert!(!all[..index].contains(digest), "{index}");
        }
    }

    #[test]
    fn a_member_is_hashed_with_its_name() {
        let object = |members: &[(&str, &str)]| {
            let mut object = Members::default();
            members.iter().for_each(|(member, value)| object.add(name(member), text(value)));
            object.finish()
        };
        assert_eq!(object(&[("a", "x"), ("b", "y")]), object(&[("b", "y"), ("a", "x")]));
        assert_ne!(object(&[("a", "x"), ("b", "y")]), object(&[("a", "y"), ("b", "x")]));
        assert_ne!(object(&[("a", "x"), ("b", "x")]), object(&[]));
    }
}
