//! The asks cart answers.

use merx_contracts::{
    cart::v1::{ContentsReply, ContentsRequest, carts_server},
    common::v1::SkuQuantity,
    ids::{AccountId, CartId},
};
use merx_kernel::{Error, Guard, Result};
use merx_platform::rpc;
use merx_sql::Db;
use tonic::{Request, Response, Status};

use crate::store;

/// Serves the asks.
pub struct CartRpc(pub Db);

#[tonic::async_trait]
impl carts_server::Carts for CartRpc {
    async fn contents(&self, request: Request<ContentsRequest>) -> Result<Response<ContentsReply>, Status> {
        rpc::answer(contents(&self.0, request.into_inner()).await)
    }
}

async fn contents(db: &Db, request: ContentsRequest) -> Result<ContentsReply> {
    let cart: CartId = request.cart_id.parse().map_err(|e| Error::invalid("/cart_id", e))?;
    let account: AccountId = request.account_id.parse().map_err(|e| Error::invalid("/account_id", e))?;
    if Guard::Owner.on() && cart != account.cast() {
        return Err(Error::not_found("cart.not_found", "There is no such cart."));
    }
    let lines = db.read("cart.contents", move |q| store::lines(q, cart)).await?;
    Ok(ContentsReply {
        lines: lines.iter().map(|line| SkuQuantity::new(&line.line.sku, line.line.quantity)).collect(),
        filling: lines.iter().map(|line| line.filling.bare()).collect(),
    })
}
