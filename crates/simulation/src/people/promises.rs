//! What the shop has acknowledged, to be looked up when the day is over.

use merx_testkit::Answer;

use super::{Client, Who};

type Holds = Box<dyn Fn(&Answer) -> bool>;

/// One thing that was acknowledged.
pub struct Promise {
    /// Who was told.
    pub by: Who,
    /// What.
    pub what: String,
    /// Where it must be seen.
    pub path: String,
    /// Whether it is.
    pub holds: Holds,
}

impl Client<'_> {
    /// The shop has acknowledged something to this client: in the evening `holds` must say so of what is at `path`.
    pub fn was_promised(
        &self,
        what: &str,
        path: impl Into<String>,
        holds: impl Fn(&Answer) -> bool + 'static,
    ) {
        let promise = Promise {
            by: self.who.clone(),
            what: format!("{what} ({})", self.name),
            path: path.into(),
            holds: Box::new(holds),
        };
        self.town.promised(promise);
    }
}

/// Whether the list in an answer has an item whose `field` is this text.
pub fn has(answer: &Answer, field: &str, text: &str) -> bool {
    let lists = ["items", "notes", "attempts", "lines"].map(|list| answer.body[list].as_array());
    lists.into_iter().flatten().flatten().any(|item| item[field] == text)
}
