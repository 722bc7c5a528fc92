//! Builds the statements of a table. The templates' placeholders are checked by the compiler.

use super::{Column, ColumnRole, Table};

/// The longest line of a list of columns.
const WIDTH: usize = 110;

macro_rules! template {
    ($name:literal $(, $value:ident = $from:expr)*) => {
        format!(include_str!(concat!("../../../sql/tables/", $name, ".sql")) $(, $value = $from)*).trim_end().to_owned()
    };
}

/// Writes rows. Takes an array per column.
pub(crate) fn upsert(table: &Table) -> String {
    template!(
        "upsert",
        name = table.name,
        key = table.keys(""),
        columns = table.all("", 4),
        values = lines(table.columns.iter().map(Column::value), 4),
        arrays = arrays(table.columns, 4),
        set = table.set(4)
    )
}

/// Writes new rows from a stream.
pub(crate) fn copy(table: &Table) -> String {
    template!("copy", name = table.name, columns = table.all("", 4))
}

/// Locks the table, and returns whether [`copy`] does the same as [`upsert`] if all rows are new.
pub(crate) fn can_copy(table: &Table) -> String {
    let described =
        table.columns.iter().map(|Column { name, sql_type, .. }| format!("('{name}', '{sql_type}')"));
    template!("can_copy", name = table.name, described = lines(described, 4))
}

/// Writes rows whose version is not older than the stored one. Takes an array per column.
pub(crate) fn upsert_newer(table: &Table) -> String {
    let content: Vec<&str> = table.names(|role| role == ColumnRole::Content).collect();
    template!(
        "upsert_newer",
        name = table.name,
        key = table.keys(""),
        columns = table.all("", 8),
        arrays = arrays(table.columns, 8),
        same_content = if content.is_empty() { "true".to_owned() } else { equal(content, "stored", "given") },
        same_key = table.same_key("stored", "given"),
        set = table.set(8)
    )
}

/// Copies stored rows to the temporary table of a dry run. Takes an array per column of the key.
pub(crate) fn fetch(table: &Table) -> String {
    let columns = |prefix| {
        let decisive = table.names(|role| role != ColumnRole::Bookkeeping);
        lines(decisive.map(|name| format!("{prefix}{name}")), 4)
    };
    template!(
        "fetch",
        name = table.name,
        key = table.keys(""),
        columns = columns(""),
        found = columns("found."),
        arrays = arrays(table.columns.iter().filter(|column| column.role == ColumnRole::Key), 4),
        same_key = table.same_key("stored", "given")
    )
}

/// Finds the rows that may differ from the shadow.
pub(crate) fn find_candidates(table: &Table) -> String {
    template!(
        "find_candidates",
        name = table.name,
        key = table.keys(""),
        stored = table.cast_rest("stored.", 8),
        made = table.rest("made.", 8),
        same_key = table.same_key("stored", "made")
    )
}

/// Adds candidates. Takes an array per column of the key.
pub(crate) fn add_candidates(table: &Table) -> String {
    let key = table.columns.iter().filter(|column| column.role == ColumnRole::Key);
    template!("add_candidates", name = table.name, key = table.keys(""), arrays = arrays(key, 4))
}

/// Stores the keys of the candidates that differ from the shadow. Takes the topic.
pub(crate) fn compare(table: &Table) -> String {
    let has_version = table.names(|role| role == ColumnRole::Version).next().is_some();
    let newest_run = if has_version {
        "greatest(stored.last_run, made.last_run)"
    } else {
        include_str!("../../../sql/tables/newest_run_of_dataset.sql").trim_end()
    };
    template!(
        "compare",
        name = table.name,
        key = table.keys(""),
        stored_key = table.keys("stored."),
        newest_run = newest_run,
        stored = table.rest("stored.", 8),
        made = table.rest("made.", 8)
    )
}

/// Counts the differing rows.
pub(crate) fn count(table: &Table) -> String {
    template!("count", name = table.name)
}

/// Counts the rows of the shadow.
pub(crate) fn count_made(table: &Table) -> String {
    template!("count_made", name = table.name)
}

/// Lists the first differing rows. Takes their number.
pub(crate) fn list(table: &Table) -> String {
    template!("list", name = table.name, key = table.keys(""), found_key = table.keys("found."))
}

/// Repairs a range of the differing rows. Takes the first and the last number.
pub(crate) fn repair(table: &Table) -> String {
    template!(
        "repair",
        name = table.name,
        key = table.keys(""),
        same_key = table.same_key("stored", "found"),
        columns = table.all("", 4),
        made = table.all("made.", 4),
        set = table.set(4)
    )
}

/// Marks a differing row as refused, and returns its key. Takes its number.
pub(crate) fn mark_refused(table: &Table) -> String {
    template!("mark_refused", name = table.name, key = table.keys(""))
}

impl Table {
    fn names(&self, is_wanted: fn(ColumnRole) -> bool) -> impl Iterator<Item = &'static str> {
        self.columns.iter().filter(move |column| is_wanted(column.role)).map(|column| column.name)
    }

    fn keys(&self, prefix: &str) -> String {
        let names: Vec<String> =
            self.names(|role| role == ColumnRole::Key).map(|name| format!("{prefix}{name}")).collect();
        names.join(", ")
    }

    fn same_key(&self, one: &str, other: &str) -> String {
        equal(self.names(|role| role == ColumnRole::Key), one, other)
    }

    fn all(&self, prefix: &str, indent: usize) -> String {
        lines(self.names(|_| true).map(|name| format!("{prefix}{name}")), indent)
    }

    /// All columns but the key.
    fn rest(&self, prefix: &str, indent: usize) -> String {
        lines(self.names(|role| role != ColumnRole::Key).map(|name| format!("{prefix}{name}")), indent)
    }

    /// All columns but the key, as values of the types that the migrations give them.
    fn cast_rest(&self, prefix: &str, indent: usize) -> String {
        let columns = self.columns.iter().filter(|column| column.role != ColumnRole::Key);
        lines(columns.map(|Column { name, sql_type, .. }| format!("{prefix}{name}::{sql_type}")), indent)
    }

    fn set(&self, indent: usize) -> String {
        let names = self.names(|role| role != ColumnRole::Key);
        lines(names.map(|name| format!("{name} = excluded.{name}")), indent)
    }
}

impl Column {
    /// The type of its values in an array. Nested values are sent as text.
    fn sent_type(&self) -> &'static str {
        if self.is_nested() { "text" } else { self.sql_type }
    }

    fn value(&self) -> String {
        if self.is_nested() { format!("{}::{}", self.name, self.sql_type) } else { self.name.to_owned() }
    }

    fn is_nested(&self) -> bool {
        self.sql_type == "jsonb" || self.sql_type.ends_with("[]")
    }
}

fn equal(names: impl IntoIterator<Item = &'static str>, one: &str, other: &str) -> String {
    let pairs: Vec<String> = names.into_iter().map(|name| format!("{one}.{name} = {other}.{name}")).collect();
    pairs.join(" and ")
}

fn arrays<'a>(columns: impl IntoIterator<Item = &'a Column>, indent: usize) -> String {
    let numbered = columns.into_iter().zip(1..);
    lines(numbered.map(|(column, number)| format!("${number}::{}[]", column.sent_type())), indent)
}

/// Joins items with commas, on lines that are not too long.
fn lines(items: impl Iterator<Item = String>, indent: usize) -> String {
    let (mut text, mut length) = (String::new(), indent);
    for item in items {
        if !text.is_empty() {
            let breaks = length + item.len() > WIDTH;
            text.push(',');
            text.push_str(&if breaks { format!("\n{}", " ".repeat(indent)) } else { " ".to_owned() });
            length = if breaks { indent } else { length };
        }
        length += item.len() + 2;
        text.push_str(&item);
    }
    text
}
