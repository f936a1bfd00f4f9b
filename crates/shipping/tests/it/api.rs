//! The routes behind a real edge, asked without a socket.

use http::{Method, StatusCode};
use merx_http::Route;
use merx_kernel::{Id, Role, principal::AccountId};
use merx_platform::Deps;
use merx_testkit::{Answer, TestApi};
use serde_json::Value;

/// Who packs.
pub const STAFF: AccountId = Id::from_bits(5);

pub struct Api(TestApi);

pub struct Reply {
    pub status: StatusCode,
    pub replayed: bool,
    pub body: Value,
}

impl Reply {
    /// The status and the code of a problem.
    pub fn problem(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or(""))
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        let replayed = answer.headers.contains_key("idempotency-replayed");
        Self { status: answer.status, replayed, body: answer.body }
    }
}

impl Api {
    pub fn new(deps: &Deps, routes: Vec<Route>) -> Self {
        assert_eq!(Route::check(&routes), Vec::<String>::new());
        let signer = merx_testkit::signer();
        let router = merx_testkit::router(deps, routes, &signer);
        Self(TestApi::new(router, signer, deps.clock.clone()))
    }

    pub async fn get(&self, role: Role, path: &str) -> Reply {
        self.get_as(STAFF, role, path).await
    }

    pub async fn get_as(&self, account: AccountId, role: Role, path: &str) -> Reply {
        self.0.as_account(account, role).get(path).await.into()
    }

    /// A POST with a key; `Value::Null` is no body.
    pub async fn post(&self, role: Role, path: &str, key: &str, body: Value) -> Reply {
        let body = Some(body).filter(|body| !body.is_null());
        self.0.as_account(STAFF, role).send(Method::POST, path, body, Some(key)).await.into()
    }
}
