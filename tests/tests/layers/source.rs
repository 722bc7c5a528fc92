//! The code of a file, and the paths that it imports.

/// The code of a file, with comments, literals and tests replaced by blanks.
pub(crate) struct Source {
    code: String,
    /// The names of test modules in separate files.
    pub(crate) tests: Vec<String>,
}

/// A path of modules, and perhaps an item at its end, from the root of the crate.
pub(crate) struct Import {
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
}

impl Source {
    pub(crate) fn read(text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        let mut at = 0;
        while at < bytes.len() {
            match literal_end(text, at) {
                Some(end) => {
                    blank(&mut bytes[at..end]);
                    at = end;
                }
                None => at += 1,
            }
        }
        let mut tests = Vec::new();
        while let Some(start) = find(&bytes, TEST) {
            let end = item_end(&bytes, start);
            let item = String::from_utf8_lossy(&bytes[start..end]).into_owned();
            let name = item.strip_suffix(';').and_then(|item| item.split_once("mod "));
            tests.extend(name.map(|(_, name)| name.to_owned()));
            blank(&mut bytes[start..end]);
        }
        Self { code: String::from_utf8_lossy(&bytes).into_owned(), tests }
    }

    /// The paths that a module imports or names, each from the root of the crate.
    pub(crate) fn imports(&self, module: &[String]) -> Vec<Import> {
        let mut found = Vec::new();
        for root in ["crate::", "catalog_consumer::", "catalog_producer::", "self::", "super::"] {
            for (at, _) in self.code.match_indices(root) {
                if self.code[..at].ends_with(|before: char| before == ':' || is_of_name(before)) {
                    continue;
                }
                let rest = self.code[at..].trim_start_matches(root);
                let steps = (self.code.len() - at - rest.len()) / root.len();
                let base = match root {
                    "super::" => module.get(..module.len().saturating_sub(steps)),
                    "self::" => Some(module),
                    _ => None,
                };
                for (line_at, names) in paths(rest) {
                    let names = names.into_iter().filter(|name| *name != "self").map(str::to_owned);
                    let path = base.unwrap_or_default().iter().cloned().chain(names).collect();
                    found.push(Import { line: self.line_of(line_at), path });
                }
            }
        }
        found
    }

    fn line_of(&self, name: &str) -> usize {
        let at = name.as_ptr() as usize - self.code.as_ptr() as usize;
        self.code[..at].matches('\n').count() + 1
    }
}

const TEST: &str = "#[cfg(test)]";

/// The paths that begin here: one, or those of a group such as `{a, b::{c, d}}`. Each has its end, for the line.
fn paths(rest: &str) -> Vec<(&str, Vec<&str>)> {
    let name = &rest[..rest.len() - rest.trim_start_matches(is_of_name).len()];
    let after = &rest[name.len()..];
    if let Some(group) = rest.strip_prefix('{') {
        return members(group).into_iter().flat_map(paths).collect();
    }
    let Some(inner) = after.strip_prefix("::").filter(|_| !name.is_empty()) else {
        return vec![(name, if name.is_empty() { Vec::new() } else { vec![name] })];
    };
    let with_name = |(at, names): (_, Vec<_>)| (at, [&[name], &names[..]].concat());
    paths(inner).into_iter().map(with_name).collect()
}

/// The members of a group up to its closing brace.
fn members(group: &str) -> Vec<&str> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, character) in group.char_indices() {
        match character {
            '}' if depth == 0 => {
                found.push(group[start..at].trim());
                break;
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(group[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    found.retain(|member| !member.is_empty());
    found
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The end of the comment or literal that begins here, if one does.
fn literal_end(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let until =
        |from: usize, end: &str| rest.get(from..)?.find(end).map(|found| at + from + found + end.len());
    let hashes = rest.get(1..).map_or(0, |rest| rest.len() - rest.trim_start_matches('#').len());
    let is_name = text[..at].ends_with(is_of_name);
    if rest.starts_with("//") {
        return until(0, "\n").map(|end| end - 1).or(Some(text.len()));
    }
    if rest.starts_with("/*") {
        return until(2, "*/");
    }
    if rest.starts_with('r') && !is_name && rest[1 + hashes..].starts_with('"') {
        return until(2 + hashes, &format!("\"{}", "#".repeat(hashes)));
    }
    if let Some(string) = rest.strip_prefix('"') {
        let mut escaped = false;
        let end = string.find(|character| {
            let is_end = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            is_end
        });
        return end.map(|end| at + 1 + end + 1);
    }
    let character = rest.strip_prefix('\'')?.chars().next()?;
    if character == '\\' {
        return until(3, "'");
    }
    let end = 1 + character.len_utf8();
    rest[end..].starts_with('\'').then_some(at + end + 1)
}

/// The end of the item that begins here: its semicolon or its closing brace.
fn item_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            b';' if depth == 0 => return at + 1,
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    bytes.len()
}

fn find(bytes: &[u8], wanted: &str) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted.as_bytes())
}

fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}
