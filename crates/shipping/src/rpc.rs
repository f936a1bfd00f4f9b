//! The asks shipping answers.

use std::collections::BTreeMap;

use merx_contracts::{
    common::v1::{LocalText, SkuQuantity},
    ids::Sku,
    shipping::v1::{
        OpenReply, OpenRequest, Option as QuotedOption, QuoteReply, QuoteRequest, shipping_server,
    },
};
use merx_kernel::{Error, Money, Quantity, Result};
use merx_platform::rpc;
use tonic::{Request, Response, Status};

use crate::{
    State, commands,
    domain::{FreightOption, Parcel, Shipment, ShipmentLine, ShipmentStatus, freight::Method},
};

/// The most lines of one shipment; a cart has no more.
pub const LINES_MAX: usize = 100;

/// Serves the asks.
pub struct ShippingRpc(pub State);

#[tonic::async_trait]
impl shipping_server::Shipping for ShippingRpc {
    async fn timeline(
        &self,
        _: Request<merx_contracts::common::v1::TimelineRequest>,
    ) -> Result<Response<merx_contracts::common::v1::TimelineReply>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn hold(
        &self,
        _: Request<merx_contracts::shipping::v1::HoldRequest>,
    ) -> Result<Response<merx_contracts::shipping::v1::HoldReply>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn lift_hold(
        &self,
        _: Request<merx_contracts::shipping::v1::LiftHoldRequest>,
    ) -> Result<Response<merx_contracts::shipping::v1::LiftHoldReply>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn cancel(
        &self,
        _: Request<merx_contracts::shipping::v1::CancelRequest>,
    ) -> Result<Response<merx_contracts::shipping::v1::CancelReply>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn quote(&self, request: Request<QuoteRequest>) -> Result<Response<QuoteReply>, Status> {
        rpc::answer(quote(&self.0, request.into_inner()))
    }
    async fn open(&self, request: Request<OpenRequest>) -> Result<Response<OpenReply>, Status> {
        rpc::answer(open(&self.0, request.into_inner()).await)
    }
}

fn quote(state: &State, request: QuoteRequest) -> Result<QuoteReply> {
    let subtotal = request.subtotal.ok_or_else(|| Error::invalid("/subtotal", "must be given"))?;
    let parcel = Parcel {
        country: request.country,
        region: request.region,
        weight_grams: request.weight_grams,
        subtotal: Money::try_from(subtotal)?,
    };
    let options = state.tariff.quote(&parcel)?.into_iter().map(wire).collect();
    Ok(QuoteReply { options })
}

fn wire(option: FreightOption) -> QuotedOption {
    let text = |zh: &str, en: &str| Some(LocalText { zh: zh.to_owned(), en: en.to_owned() });
    QuotedOption {
        method: option.method.name().to_owned(),
        label: text(option.method.zh(), option.method.en()),
        fee: Some(option.fee.into()),
        explanation: text(&option.explanation_zh, &option.explanation_en),
    }
}

async fn open(state: &State, request: OpenRequest) -> Result<OpenReply> {
    let named = |pointer: &'static str| move |e: String| Error::invalid(pointer, e);
    let shipment = Shipment {
        id: request.shipment_id.parse().map_err(named("/shipment_id"))?,
        order: request.order_id.parse().map_err(named("/order_id"))?,
        account: request.account_id.parse().map_err(named("/account_id"))?,
        address: request.address_id.parse().map_err(named("/address_id"))?,
        method: Method::from_name(&request.method)?,
        status: ShipmentStatus::Open,
        dispatch: None,
        opened_at: state.clock.now(),
        dispatched_at: None,
        delivered_at: None,
    };
    commands::open(state, shipment, lines_of(&request.lines)?).await?;
    Ok(OpenReply {})
}

/// By SKU; lines of the same SKU are added up.
fn lines_of(lines: &[SkuQuantity]) -> Result<Vec<ShipmentLine>> {
    if !(1..=LINES_MAX).contains(&lines.len()) {
        return Err(Error::invalid("/lines", format!("must have 1 to {LINES_MAX} lines")));
    }
    let mut by_sku: BTreeMap<Sku, i64> = BTreeMap::new();
    for line in lines {
        let (sku, quantity) = line.checked()?;
        *by_sku.entry(sku).or_default() += quantity.get();
    }
    by_sku.into_iter().map(|(sku, units)| Ok(ShipmentLine { sku, quantity: Quantity::new(units)? })).collect()
}
