//! The positions of partitions.

use std::collections::HashMap;

/// The offset of the next record to apply, by topic and partition.
pub(crate) type Positions = HashMap<(String, i32), i64>;
