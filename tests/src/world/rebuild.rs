//! The commands that read the topics from their beginning.

use anyhow::Result;

use super::{Program, World};

impl World {
    /// A rebuild of the tables.
    ///
    /// # Errors
    /// If the program was not built.
    pub fn rebuild(&self) -> Result<Program> {
        self.replaying(&["rebuild", "--json"])
    }

    /// A comparison of the tables with the topics.
    ///
    /// # Errors
    /// If the program was not built.
    pub fn verify_topics(&self) -> Result<Program> {
        self.replaying(&["verify", "--topics", "--json"])
    }

    fn replaying(&self, args: &[&'static str]) -> Result<Program> {
        let program = Program::new("catalog-consumer")?.args(args.iter().copied());
        Ok(self.configured(program).env("DATABASE_URL", &self.database_url))
    }
}
