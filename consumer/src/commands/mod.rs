//! The commands of the program.

pub(crate) mod check;
pub(crate) mod dead_letters;
pub(crate) mod doctor;
pub(crate) mod dry_run;
pub(crate) mod move_tables;
pub(crate) mod rebuild;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod summary;
pub(crate) mod verify;
