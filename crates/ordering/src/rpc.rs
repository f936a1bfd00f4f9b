//! The asks ordering answers: those of after-sale.

use merx_contracts::{
    ids::{AfterSaleId, OrderId},
    ordering::v1::{
        AfterSaleTermsReply, AfterSaleTermsRequest, GrantRefundReply, GrantRefundRequest,
        GrantReplacementReply, GrantReplacementRequest, ReservationReply, ReservationRequest,
        ordering_server,
    },
};
use merx_kernel::{Error, Money, Result};
use merx_platform::rpc;
use tonic::{Request, Response, Status};

use crate::{commands::grant, context::Tools, domain::Rejection, queries::after_sale_terms, store};

/// Serves the asks.
pub struct OrderingRpc(pub Tools);

#[tonic::async_trait]
impl ordering_server::Ordering for OrderingRpc {
    async fn after_sale_terms(
        &self,
        request: Request<AfterSaleTermsRequest>,
    ) -> Result<Response<AfterSaleTermsReply>, Status> {
        rpc::answer(terms(&self.0, &request.into_inner()).await)
    }
    async fn grant_refund(
        &self,
        request: Request<GrantRefundRequest>,
    ) -> Result<Response<GrantRefundReply>, Status> {
        rpc::answer(refund(&self.0, request.into_inner()).await)
    }
    async fn grant_replacement(
        &self,
        request: Request<GrantReplacementRequest>,
    ) -> Result<Response<GrantReplacementReply>, Status> {
        rpc::answer(replacement(&self.0, &request.into_inner()).await)
    }
    async fn reservation(
        &self,
        request: Request<ReservationRequest>,
    ) -> Result<Response<ReservationReply>, Status> {
        rpc::answer(reservation(&self.0, &request.into_inner()).await)
    }
}

async fn reservation(tools: &Tools, request: &ReservationRequest) -> Result<ReservationReply> {
    let (order_id, store) = (order_of(&request.order_id)?, tools.store.clone());
    let read = move |q: &mut merx_sql::Reader<'_>| store::load(&store, q, order_id);
    let loaded = tools.db.read("ordering.reservation", read).await?;
    if loaded.version == 0 {
        return Err(Rejection::OrderUnknown.into());
    }
    Ok(ReservationReply { reservation_id: loaded.state.reservation_id(order_id).to_string() })
}

async fn terms(tools: &Tools, request: &AfterSaleTermsRequest) -> Result<AfterSaleTermsReply> {
    let account = Some(request.account_id.as_str()).filter(|text| !text.is_empty());
    let account = account.map(str::parse).transpose().map_err(|e| Error::invalid("/account_id", e))?;
    after_sale_terms::of(tools, order_of(&request.order_id)?, account).await
}

async fn refund(tools: &Tools, request: GrantRefundRequest) -> Result<GrantRefundReply> {
    let (order_id, case_id) = (order_of(&request.order_id)?, case_of(&request.case_id)?);
    let amount = request.amount.ok_or_else(|| Error::invalid("/amount", "must be given"))?;
    let amount = Money::try_from(amount)?;
    if amount.minor <= 0 {
        return Err(Error::invalid("/amount", "must be more than nothing"));
    }
    Ok(GrantRefundReply { refunds: grant::refund(tools, order_id, case_id, amount).await? })
}

async fn replacement(tools: &Tools, request: &GrantReplacementRequest) -> Result<GrantReplacementReply> {
    let (order_id, case_id) = (order_of(&request.order_id)?, case_of(&request.case_id)?);
    grant::replacement(tools, order_id, case_id).await?;
    Ok(GrantReplacementReply {})
}

fn order_of(text: &str) -> Result<OrderId> {
    text.parse().map_err(|e: String| Error::invalid("/order_id", e))
}
fn case_of(text: &str) -> Result<AfterSaleId> {
    text.parse().map_err(|e: String| Error::invalid("/case_id", e))
}
