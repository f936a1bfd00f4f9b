//! What may be answered to which request: the statuses and codes that the routes themselves name, and nothing else.

use axum::http::Method;
use merx_testkit::Answer;

use crate::world::World;

/// What one route may answer.
pub struct Row {
    method: Method,
    parts: Vec<&'static str>,
    /// The operation's id.
    pub id: &'static str,
    statuses: Vec<u16>,
    codes: Vec<&'static str>,
    keyed: bool,
}

impl Row {
    /// Whether its requests carry a key.
    pub const fn is_keyed(&self) -> bool {
        self.keyed
    }
    fn fits(&self, method: &Method, path: &str) -> bool {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let mut given = path.split('/');
        let all =
            self.parts.iter().all(|part| given.next().is_some_and(|g| part.starts_with('{') || g == *part));
        all && given.next().is_none() && self.method == method
    }
    fn literal(&self) -> usize {
        self.parts.iter().filter(|part| !part.starts_with('{')).count()
    }
    /// Whether the route names this answer among its own.
    pub fn names(&self, answer: &Answer) -> bool {
        match code(answer) {
            None => self.statuses.contains(&answer.status.as_u16()),
            Some(code) => self.codes.contains(&code),
        }
    }
}

/// The rows of all routes of a shop.
pub struct Rules(Vec<Row>);

impl Rules {
    /// Those of this shop.
    pub fn of(world: &World) -> Self {
        let row = |route: &merx_http::Route| Row {
            method: route.method().clone(),
            parts: route.path().split('/').collect(),
            id: route.operation_id(),
            statuses: route.statuses().collect(),
            codes: route.codes().to_vec(),
            keyed: route.is_keyed(),
        };
        Self(world.shop.routes.iter().map(row).collect())
    }

    /// The row of the route that takes this request.
    pub fn row(&self, method: &Method, path: &str) -> &Row {
        let rows = self.0.iter().filter(|row| row.fits(method, path));
        rows.max_by_key(|row| row.literal()).unwrap_or_else(|| panic!("no route takes {method} {path}"))
    }
}

/// An answer in one word: its status, or its problem's code.
pub fn how(answer: &Answer) -> String {
    code(answer).map_or_else(|| answer.status.as_u16().to_string(), str::to_owned)
}

/// The code of the problem, if it is one: other things have codes too.
fn code(answer: &Answer) -> Option<&str> {
    (answer.status.as_u16() >= 400).then(|| answer.code()).filter(|code| !code.is_empty())
}

/// Whether a client is to come again with the same request: the shop did not answer it.
pub fn is_to_repeat(answer: &Answer) -> bool {
    match answer.status.as_u16() {
        503 | 504 => true,
        409 => answer.code() == "request.in_flight",
        _ => false,
    }
}
