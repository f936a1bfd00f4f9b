//! The walk over all routes.

use std::sync::Arc;

use merx_http::{Access, Idempotency, Limits, Owner, Route};
use merx_kernel::Permission;
use merx_platform::time::VirtualClock;

use crate::kit::{Effects, START, routes};

fn route(
    method: fn(&'static str, Access) -> Route,
    path: &'static str,
    access: Access,
    id: &'static str,
) -> Route {
    method(path, access).id(id).summary("s").empty_response(204)
}
fn get(path: &'static str, access: Access) -> Route {
    Route::get(path, access, async || (), &())
}
fn post(path: &'static str, access: Access) -> Route {
    Route::post(path, access, async || (), &())
}

#[tokio::test(start_paused = true)]
async fn good_routes_pass() {
    let routes = routes(Arc::new(VirtualClock::new(START)), Effects::default());
    assert_eq!(Route::check(&routes), Vec::<String>::new());
}

#[test]
fn each_omission_is_found() {
    let no_rule = Access::Permission { permission: Permission::Shop, owner: Owner::Account("") };
    let no_owner = Access::LoggedIn { owner: Owner::None("nobody's") };
    let natural = Idempotency::Natural("by identity");
    let cases: Vec<(Vec<Route>, &str)> = vec![
        (vec![route(get, "/a", no_rule, "a")], "has no owner rule"),
        (vec![route(get, "/a", no_owner, "a")], "needs neither a permission nor an owner"),
        (vec![route(get, "/a", Access::Signed(""), "a")], "does not say whose signature"),
        (vec![get("/a", Access::Public).summary("s").empty_response(204)], "has no id"),
        (vec![get("/a", Access::Public).id("a").empty_response(204)], "has no summary"),
        (vec![get("/a", Access::Public).id("a").summary("s")], "names no response"),
        (vec![route(post, "/a", Access::Public, "a")], "has no idempotency decision"),
        (
            vec![route(post, "/a", Access::Public, "a").idempotency(Idempotency::Excluded(""))],
            "gives no reason for its idempotency decision",
        ),
        (vec![route(get, "/a", Access::Public, "a").body::<u8>()], "is a GET with a body"),
        (
            vec![route(get, "/a", Access::Public, "a").param::<u8>("b")],
            "documents a path parameter it does not have",
        ),
        (vec![route(get, "/a", Access::Public, "a").errors(&["sold_out"])], "names a code that is not"),
        (
            vec![route(get, "/a", Access::Public, "a"), route(get, "/b", Access::Public, "a")],
            "GET /b: has the id `a` of GET /a",
        ),
        (
            vec![
                route(post, "/a", Access::Public, "a").idempotency(natural),
                route(post, "/a", Access::Public, "b").idempotency(natural),
            ],
            "POST /a: exists twice",
        ),
    ];
    for (routes, finding) in cases {
        let findings = Route::check(&routes);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].contains(finding), "expected `{finding}`, found {findings:?}");
    }
}

#[test]
fn limits_out_of_range_are_named() {
    assert!(Limits::default().check().is_ok());
    let wrong = Limits { connections_max: usize::MAX, header_read_ms_max: 0, ..Limits::default() };
    let error = wrong.check().unwrap_err();
    let keys: Vec<_> = error.fields().iter().map(|f| f.pointer.as_str()).collect();
    assert_eq!(keys, ["http.limits.header_read_ms_max", "http.limits.connections_max"]);
    assert_eq!(error.fields()[0].detail, "is 0, must be from 1 to 30000");
}
