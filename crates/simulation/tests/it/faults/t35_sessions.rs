//! T35: a session that was ended is ended, and a refresh token that comes twice ends its family.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Method, Request},
};
use merx_kernel::{Role, principal::AccountId};
use merx_simulation::{
    run::number,
    world::{PASSWORD, World, email},
};
use merx_testkit::Answer;
use serde_json::{Value, json};

use super::{lived, proof, seeds_for};

/// Members of one world.
const EACH: u64 = 4;
const REVOKED_WITHIN: Duration = Duration::from_secs(1);
/// Refreshes before an old token of the family comes again.
const REFRESHES: usize = 4;

/// Asks anything with whatever headers; also without any token.
async fn asked(
    world: &World,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let request = request.header("content-type", "application/json").body(body).unwrap();
    world.knock(request).await.unwrap()
}

/// The tokens of one session.
#[derive(Clone)]
pub struct Session {
    pub id: String,
    pub access: String,
    pub refresh: String,
}

impl Session {
    fn of(answer: &Answer) -> Self {
        let [id, access, refresh] =
            ["/session_id", "/access_token", "/refresh_token"].map(|at| answer.text_at(at));
        Self { id, access, refresh }
    }
    pub async fn begin(world: &World, member: AccountId) -> Self {
        // The work of a log-in is done on a thread of its own; alone, its end is no matter of chance.
        world.settle().await;
        let body = json!({"email": email(member), "password": PASSWORD});
        let begun = world.api.post("/v1/sessions", body).await.expect(201);
        world.settle().await;
        Self::of(&begun)
    }
    async fn ask(&self, world: &World, method: Method, path: &str, body: Option<Value>) -> Answer {
        let bearer = format!("Bearer {}", self.access);
        asked(world, method, path, &[("authorization", bearer.as_str()), ("idempotency-key", "a-key")], body)
            .await
    }
    async fn refresh(&self, world: &World) -> Answer {
        world.api.post("/v1/sessions/refresh", json!({"refresh_token": self.refresh})).await
    }
    async fn is_good(&self, world: &World) -> bool {
        self.ask(world, Method::GET, "/v1/me", None).await.status == 200
    }
    /// How long after now it is refused, in steps of 50 ms of virtual time; its refresh token is worth nothing too.
    async fn dies_within(&self, world: &World) -> Duration {
        let began = world.time();
        while self.is_good(world).await {
            assert!(world.time().since(began) <= REVOKED_WITHIN, "it lives on");
            world.pass(Duration::from_millis(50)).await;
        }
        let after = world.time().since(began);
        assert_eq!(self.refresh(world).await.status, 401);
        after
    }
}

#[test]
fn what_is_revoked_is_refused_at_once() {
    let seeds = seeds_for(number("MERX_T35", 8), EACH);
    let first = seeds.start;
    let ended: Vec<Duration> = lived(seeds, |world| async {
        let mut ended = Vec::new();
        for (member, _) in world.accounts(Role::Customer, EACH as usize).await {
            ended.extend(end_every_way(&world, member).await);
        }
        (world, ended)
    })
    .into_iter()
    .flatten()
    .collect();
    let last = ended.iter().max().copied().unwrap_or_default();
    let case = "log-out, end elsewhere, end all others, by staff (one, all), password change";
    let figure =
        format!("revoked within {last:?} of virtual time (at most 1 s), {} of {}", ended.len(), ended.len());
    proof("T35", case, ended.len() as u64, figure, first);
}

async fn end_every_way(world: &World, member: AccountId) -> Vec<Duration> {
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(Session::begin(world, member).await);
    }
    let mine = sessions.remove(0);
    let mut ended = Vec::new();
    let logged_out = sessions.remove(0);
    logged_out.ask(world, Method::DELETE, "/v1/sessions/current", None).await.expect(204);
    ended.push(logged_out.dies_within(world).await);
    let lost = sessions.remove(0);
    mine.ask(world, Method::DELETE, &format!("/v1/sessions/{}", lost.id), None).await.expect(204);
    ended.push(lost.dies_within(world).await);
    let stolen = sessions.remove(0);
    let staff = world.staff(Role::Administrator).await;
    let of_member = format!("/v1/admin/accounts/{member}/sessions");
    let answer = staff.delete(&format!("{of_member}/{}", stolen.id)).await;
    assert!(answer.status.is_success(), "{}", answer.text);
    ended.push(stolen.dies_within(world).await);
    assert!(mine.is_good(world).await, "only what was ended is ended");
    mine.ask(world, Method::DELETE, "/v1/sessions/elsewhere", None).await.expect(204);
    for other in sessions.drain(..) {
        ended.push(other.dies_within(world).await);
    }
    // A new password ends every session but the one that gave it.
    let other = Session::begin(world, member).await;
    let new = json!({"password": PASSWORD, "new_password": "another horse battery staple"});
    world.settle().await;
    mine.ask(world, Method::PUT, "/v1/account/password", Some(new)).await.expect(204);
    world.settle().await;
    ended.push(other.dies_within(world).await);
    let answer = staff.delete(&of_member).await;
    assert!(answer.status.is_success(), "{}", answer.text);
    ended.push(mine.dies_within(world).await);
    ended
}

#[test]
fn a_refresh_token_that_comes_twice_kills_its_family() {
    let seeds = seeds_for(number("MERX_T35", 8), EACH);
    let first = seeds.start;
    let killed: u64 = lived(seeds, |world| async {
        let mut killed = 0;
        for (member, _) in world.accounts(Role::Customer, EACH as usize).await {
            for reused in 0..REFRESHES {
                reuse(&world, member, reused).await;
                killed += 1;
            }
        }
        (world, killed)
    })
    .into_iter()
    .sum();
    let case = "refresh reuse: an old refresh token of a family comes again";
    proof(
        "T35",
        case,
        killed,
        format!("{killed} of {killed} families killed (100 %), no other session ended"),
        first,
    );
}

async fn reuse(world: &World, member: AccountId, reused: usize) {
    let bystander = Session::begin(world, member).await;
    let mut family = vec![Session::begin(world, member).await];
    for generation in 0..REFRESHES {
        world.pass(Duration::from_secs(1)).await;
        let next = family[generation].refresh(world).await.expect(200);
        assert_eq!(next.text_at("/session_id"), family[0].id);
        family.push(Session::of(&next));
    }
    family[reused].refresh(world).await.expect_problem(401, "accounts.refresh_token_reused");
    for one in &family {
        assert!(!one.is_good(world).await);
        assert_eq!(one.refresh(world).await.status, 401);
    }
    assert!(bystander.is_good(world).await);
}

#[tokio::test(start_paused = true)]
async fn no_session_is_chosen_by_the_client_and_nothing_works_by_itself() {
    let world = World::new().await;
    let (member, _) = world.accounts(Role::Customer, 1).await.remove(0);
    let mine = Session::begin(&world, member).await;
    let mut tried = 0;
    // Fixation: whatever session a client brings to the log-in, it is given another.
    let cookie = format!("session={}", mine.id);
    let bearer = format!("Bearer {}", mine.access);
    for header in
        [("cookie", cookie.as_str()), ("authorization", bearer.as_str()), ("x-session-id", mine.id.as_str())]
    {
        world.settle().await;
        let body = json!({"email": email(member), "password": PASSWORD});
        let headers = [header, ("idempotency-key", "fix")];
        let begun = asked(&world, Method::POST, "/v1/sessions", &headers, Some(body)).await.expect(201);
        world.settle().await;
        assert_ne!(begun.text_at("/session_id"), mine.id);
        assert!(begun.headers.get("set-cookie").is_none(), "no cookie that a browser would send by itself");
        tried += 1;
    }
    // CSRF: what a browser sends by itself to another site's wish is worth nothing.
    for name in ["session", "access_token", "token", "Authorization", "refresh_token", "sid"] {
        for value in [&mine.access, &mine.refresh, &mine.id] {
            let cookie = format!("{name}={value}");
            let headers =
                [("cookie", cookie.as_str()), ("origin", "https://evil.test"), ("idempotency-key", "k")];
            for (method, path) in [(Method::GET, "/v1/me"), (Method::DELETE, "/v1/sessions/current")] {
                asked(&world, method, path, &headers, None).await.expect(401);
                tried += 1;
            }
        }
    }
    for path in [format!("/v1/me?access_token={}", mine.access), format!("/v1/me?token={}", mine.access)] {
        assert!(!asked(&world, Method::GET, &path, &[], None).await.status.is_success());
        tried += 1;
    }
    assert!(mine.is_good(&world).await);
    proof(
        "T35",
        "fixation and CSRF: cookies, query, foreign session ids",
        tried,
        "0 taken; no cookie is ever set",
        "1",
    );
    world.finish().await;
}
