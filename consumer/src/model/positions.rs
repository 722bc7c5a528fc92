//! The positions of partitions.

use std::collections::HashMap;

/// Where partitions stand, by topic and partition.
pub(crate) type Positions = HashMap<(String, i32), i64>;
