//! The form of an answer's body: its white space and the order of lists.

use super::catalog::Asset;
use super::order::Order;
use super::pretty;

/// The indent of results in a pretty-printed answer.
const INDENT: usize = 6;

/// How a body is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// With the API's white space, or only with the white space of the result object itself.
    pub(super) pretty: bool,
    /// The order of lists. None leaves them as they are in the catalog.
    pub(super) order: Option<Order>,
}

impl Form {
    /// The text before the first result.
    pub(super) fn opening(self) -> &'static [u8] {
        if self.pretty { b"{\n  \"results\" :\n    [\n      " } else { b"{\"results\":[" }
    }

    /// The text between two results.
    pub(super) fn separator(self) -> &'static [u8] {
        if self.pretty { b",\n      " } else { b"," }
    }

    /// The text after the last result.
    pub(super) fn closing(self) -> &'static [u8] {
        if self.pretty { b"\n    ],\n  " } else { b"]," }
    }

    /// The start of an answer without results, up to the members that follow them.
    pub(super) fn no_results(self) -> &'static [u8] {
        if self.pretty { b"{\n  \"results\" : [],\n  " } else { b"{\"results\":[]," }
    }

    /// The start of an answer that lacks the member.
    pub(super) fn without_member(self) -> &'static [u8] {
        if self.pretty { b"{\n  " } else { b"{" }
    }

    /// The members after the results, to the end of the answer.
    pub(super) fn rest(self, size: u64) -> String {
        if self.pretty {
            format!(
                "\"resultSetSize\" : {size},\n  \"timings\" : {{ \"serviceMillis\" : 9, \"searchMillis\" : [ 2, 5 ] }}\n}}\n"
            )
        } else {
            format!("\"resultSetSize\":{size},\"timings\":{{\"serviceMillis\":9,\"searchMillis\":[2,5]}}}}")
        }
    }

    /// Appends a line of `/domains`.
    pub(super) fn domain(self, line: &str, out: &mut Vec<u8>) {
        if self.pretty {
            pretty::write(line.as_bytes(), INDENT, out)
        } else {
            out.extend_from_slice(line.as_bytes())
        }
    }

    /// Appends a result object. Invalid JSON is appended unchanged.
    pub(super) fn asset(self, asset: &dyn Asset, out: &mut Vec<u8>) {
        if asset.is_opaque() || (!self.pretty && self.order.is_none()) {
            return asset.write_to(out);
        }
        let mut object = Vec::new();
        asset.write_to(&mut object);
        if let Some(order) = self.order {
            let mut ordered = Vec::with_capacity(object.len());
            order.write(asset.id(), &object, &mut ordered);
            object = ordered;
        }
        if self.pretty { pretty::write(&object, INDENT, out) } else { out.extend_from_slice(&object) }
    }
}
