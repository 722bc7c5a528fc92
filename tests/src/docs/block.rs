//! Fenced blocks, and the comments before them that define how they are run.

use anyhow::{Context, Result, bail, ensure};

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its fence, from 1.
    pub line: usize,
    /// The word after the fence, such as `sh`.
    pub language: String,
    /// Its text, without the indent that the fence has.
    pub text: String,
    /// The comment before the block.
    pub run: Run,
}

impl Block {
    /// Whether it is for a shell or for `psql`.
    #[must_use]
    pub fn is_command(&self) -> bool {
        matches!(self.language.as_str(), "sh" | "sql")
    }
}

/// How a block is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// It ends with this exit code. 0 without a comment.
    Ends(i32),
    /// It is not run: `<!-- not run: reason -->`.
    Not,
}

/// The fenced blocks of a page.
///
/// # Errors
/// If a block has no end, or a comment about running has no reason.
pub fn blocks(page: &str) -> Result<Vec<Block>> {
    let (mut found, mut open, mut run) = (Vec::new(), None::<(Block, usize)>, Run::Ends(0));
    for (index, line) in page.lines().enumerate() {
        let text = line.trim_start();
        match &mut open {
            None => {
                if let Some(language) = text.strip_prefix("```") {
                    let comment = std::mem::replace(&mut run, Run::Ends(0));
                    let (language, text_so_far) = (language.to_owned(), String::new());
                    let block = Block { line: index + 1, language, text: text_so_far, run: comment };
                    open = Some((block, line.len() - text.len()));
                } else if !text.is_empty() {
                    run = comment(text).with_context(|| format!("line {}", index + 1))?;
                }
            }
            Some(_) if text == "```" => found.extend(open.take().map(|(block, _)| block)),
            Some((block, indent)) => {
                block.text.push_str(line.get(*indent..).unwrap_or_default());
                block.text.push('\n');
            }
        }
    }
    ensure!(open.is_none(), "a block has no end");
    Ok(found)
}

/// What a line specifies about the next block.
fn comment(line: &str) -> Result<Run> {
    let Some(comment) = line.strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->")) else {
        return Ok(Run::Ends(0));
    };
    let (what, reason) = comment.trim().split_once(':').unwrap_or((comment.trim(), ""));
    let run = match what.strip_prefix("exit ") {
        Some(code) => Run::Ends(code.parse().with_context(|| format!("no exit code: {line}"))?),
        None if what == "not run" => Run::Not,
        None => return Ok(Run::Ends(0)),
    };
    if reason.trim().is_empty() {
        bail!("a comment about running has a reason after a colon: {line}");
    }
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_the_comment_before_it_and_loses_its_indent() {
        let page = "Text.\n\n<!-- exit 3: it is refused -->\n```sh\na\n```\n\n- Item:\n\n  ```sh\n  b\n    c\n  ```\n";
        let found = blocks(page).unwrap();
        assert_eq!((found.len(), &found[0].run, found[0].line), (2, &Run::Ends(3), 4));
        assert_eq!((found[1].text.as_str(), &found[1].run), ("b\n  c\n", &Run::Ends(0)));
    }

    #[test]
    fn a_block_that_is_not_run_has_a_reason() {
        assert_eq!(blocks("<!-- not run: no engine -->\n```sh\na\n```\n").unwrap()[0].run, Run::Not);
        assert!(blocks("<!-- not run -->\n```sh\na\n```\n").is_err());
        assert!(blocks("<!-- not run: -->\n```sh\na\n```\n").is_err());
    }

    #[test]
    fn a_comment_applies_to_the_next_block_only_and_an_open_block_is_an_error() {
        let page = "<!-- not run: x -->\n```sh\na\n```\n```sh\nb\n```\n";
        assert_eq!(blocks(page).unwrap()[1].run, Run::Ends(0));
        assert!(blocks("```sh\na\n").is_err());
    }
}
