//! Every route is guarded and described.

use merx_http::{Access, Limits, Route};

use crate::kit::{World, get};

async fn every_route_names_its_rules() {
    let world = World::new().await;
    let routes = merx_accounts::module(&world.state, &Limits::default()).routes;
    assert_eq!(Route::check(&routes), Vec::<String>::new());
    let public: Vec<_> =
        routes.iter().filter(|r| r.access() == Access::Public).map(Route::operation_id).collect();
    assert_eq!(public, ["logIn", "refreshSession", "beginGuest", "enterAsGuest", "acceptInvitation"]);
    let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");
    for code in routes.iter().flat_map(|r| r.codes().to_vec()) {
        assert!(std::path::Path::new(&format!("{pages}/{code}.md")).exists(), "{code} has no page");
    }
}

async fn the_description_knows_the_shapes() {
    let world = World::new().await;
    let api = world.ask(get("/openapi.json")).await.is(200);
    let schemas = &api["components"]["schemas"];
    for name in ["TokensView", "AddressForm", "AddressView", "SessionsView", "MeView"] {
        assert!(schemas[name].is_object(), "{name}");
    }
    assert_eq!(schemas["AddressForm"]["additionalProperties"], false);
    let password = &schemas["Password"];
    assert_eq!((password["format"].as_str(), password["maxLength"].as_u64()), (Some("password"), Some(128)));
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    crate::trials!("routes": ; waiting every_route_names_its_rules, the_description_knows_the_shapes)
}
