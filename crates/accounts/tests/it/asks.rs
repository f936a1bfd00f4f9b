//! What other contexts ask.

use merx_contracts::{
    accounts::v1::{AddressReply, AddressRequest, accounts_client::AccountsClient},
    ids::AccountId,
};
use merx_kernel::{Id, Result};
use merx_platform::{Peer, rpc};
use serde_json::{Value, json};

use crate::kit::{World, delete, post, put};

async fn address(
    world: &World,
    peer: fn(&World) -> Peer,
    id: &Value,
    account: &Value,
) -> Result<AddressReply> {
    let request = AddressRequest {
        address_id: id.as_str().unwrap().to_owned(),
        account_id: account.as_str().unwrap().to_owned(),
    };
    rpc::ask(AccountsClient::new(peer(world)).address(request).await)
}

async fn an_address_is_answered_to_who_names_its_owner() {
    let world = World::new().await;
    let me = world.customer("a@example.com").await;
    let form = json!({
        "country": "CN", "region": "广东省", "city": "深圳市", "line1": "南山区1号", "recipient": "王小明", "phone": "13800138000",
    });
    let made = world.ask(post("/v1/addresses", form.clone()).token(&me).key("k")).await.is(201);
    let (id, mine) = (&made["id"], &me["account_id"]);
    let peers: [fn(&World) -> Peer; 3] = [
        |w| Peer::local(merx_accounts::service(&w.state)),
        |w| Peer::loopback(merx_accounts::service(&w.state)),
        |w| Peer::loopback_twice(merx_accounts::service(&w.state)),
    ];
    for peer in peers {
        let seen = address(&world, peer, id, mine).await.unwrap();
        assert_eq!(
            (seen.country.as_str(), seen.region.as_str(), seen.city.as_str()),
            ("CN", "广东省", "深圳市")
        );
        assert_eq!((seen.recipient.as_str(), seen.phone.as_str()), ("王小明", "13800138000"));
        assert_eq!(
            (seen.line2.as_str(), seen.postcode.as_str(), seen.erased, seen.retired),
            ("", "", false, false)
        );
        let stranger: AccountId = Id::from_bits(1);
        let refused = address(&world, peer, id, &json!(stranger)).await.unwrap_err();
        assert_eq!(refused.code(), "accounts.address_not_found");
        let absent = address(&world, peer, &json!("adr_00000000000000000000000001"), mine).await.unwrap_err();
        assert_eq!(absent.code(), "accounts.address_not_found");
        let wrong = address(&world, peer, &json!("rubbish"), mine).await.unwrap_err();
        assert_eq!((wrong.code(), wrong.fields()[0].pointer.as_str()), ("request.invalid", "/address_id"));
    }
    // An order's address stays as it was when its owner edits and deletes it.
    let mut edited = form;
    edited["recipient"] = json!("李雷");
    let path = format!("/v1/addresses/{}", id.as_str().unwrap());
    let new = world.ask(put(path, edited).token(&me)).await.is(200);
    let old = address(&world, peers[0], id, mine).await.unwrap();
    assert_eq!((old.recipient.as_str(), old.retired), ("王小明", true));
    world.ask(delete(format!("/v1/addresses/{}", new["id"].as_str().unwrap())).token(&me)).await.is(204);
    assert!(address(&world, peers[0], &new["id"], mine).await.unwrap().retired);
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    crate::trials!("asks": ; waiting an_address_is_answered_to_who_names_its_owner)
}
