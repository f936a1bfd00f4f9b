//! The asks shipping answers.

use merx_contracts::{
    common::v1::{LocalText, SkuQuantity, TimelineReply, TimelineRequest},
    ids::OrderId,
    shipping::v1::{
        CancelReply, CancelRequest, HoldReply, HoldRequest, LiftHoldReply, LiftHoldRequest, OpenReply,
        OpenRequest, Option as QuotedOption, QuoteReply, QuoteRequest, shipping_server,
    },
};
use merx_kernel::{Error, Money, Result};
use merx_platform::rpc;
use merx_sql::Tx;
use tonic::{Request, Response, Status};

use crate::{
    State,
    commands::{self, hold::Ask},
    domain::{FreightOption, Parcel, Shipment, ShipmentLine, ShipmentStatus, freight::Method, history},
    timeline,
};

/// The most lines of one shipment; a cart has no more.
pub const LINES_MAX: usize = 100;

/// Serves the asks.
pub struct ShippingRpc(pub State);

#[tonic::async_trait]
impl shipping_server::Shipping for ShippingRpc {
    async fn quote(&self, request: Request<QuoteRequest>) -> Result<Response<QuoteReply>, Status> {
        rpc::answer(quote(&self.0, request.into_inner()))
    }
    async fn open(&self, request: Request<OpenRequest>) -> Result<Response<OpenReply>, Status> {
        rpc::answer(open(&self.0, request.into_inner()).await)
    }
    async fn hold(&self, request: Request<HoldRequest>) -> Result<Response<HoldReply>, Status> {
        let HoldRequest { order_id, hold_id } = request.into_inner();
        let done = self.0.about(&order_id, &hold_id, "shipping.hold", commands::hold).await;
        rpc::answer(done.map(|()| HoldReply {}))
    }
    async fn lift_hold(&self, request: Request<LiftHoldRequest>) -> Result<Response<LiftHoldReply>, Status> {
        let LiftHoldRequest { order_id, hold_id } = request.into_inner();
        let done = self.0.about(&order_id, &hold_id, "shipping.lift_hold", commands::lift_hold).await;
        rpc::answer(done.map(|()| LiftHoldReply {}))
    }
    async fn cancel(&self, request: Request<CancelRequest>) -> Result<Response<CancelReply>, Status> {
        let CancelRequest { order_id, hold_id } = request.into_inner();
        let done = self.0.about(&order_id, &hold_id, "shipping.cancel", commands::cancel).await;
        rpc::answer(done.map(|()| CancelReply {}))
    }
    async fn timeline(&self, request: Request<TimelineRequest>) -> Result<Response<TimelineReply>, Status> {
        rpc::answer(told(&self.0, request.into_inner()).await)
    }
}

impl State {
    /// An ask about the hold of an order, in one transaction.
    async fn about(
        &self,
        order: &str,
        hold: &str,
        label: &'static str,
        command: fn(&mut Tx<'_>, &Ask) -> Result<()>,
    ) -> Result<()> {
        let order = order.parse().map_err(|e| Error::invalid("/order_id", e))?;
        let hold = hold.parse().map_err(|e| Error::invalid("/hold_id", e))?;
        let ask = Ask::now(self, order, hold);
        self.db.write(label, move |tx| command(tx, &ask)).await
    }
}

async fn told(state: &State, request: TimelineRequest) -> Result<TimelineReply> {
    let order: OrderId = request.order_id.parse().map_err(|e| Error::invalid("/order_id", e))?;
    let entries = state.db.read("shipping.timeline", move |q| timeline::of_order(q, order)).await?;
    Ok(TimelineReply { entries })
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
    let warehouse = Some(request.warehouse_id.as_str()).filter(|id| !id.is_empty());
    let case = Some(request.case_id.as_str()).filter(|id| !id.is_empty());
    let shipment = Shipment {
        id: request.shipment_id.parse().map_err(named("/shipment_id"))?,
        order: request.order_id.parse().map_err(named("/order_id"))?,
        account: request.account_id.parse().map_err(named("/account_id"))?,
        address: request.address_id.parse().map_err(named("/address_id"))?,
        warehouse: warehouse.map(str::parse).transpose().map_err(named("/warehouse_id"))?,
        case: case.map(str::parse).transpose().map_err(named("/case_id"))?,
        split_from: None,
        method: Method::from_name(&request.method)?,
        status: ShipmentStatus::Open,
        dispatch: None,
        opened_at: state.clock.now(),
        dispatched_at: None,
        delivered_at: None,
        returned_at: None,
        cancelled_at: None,
        version: 1,
    };
    commands::open(state, shipment, lines_of(&request.lines)?).await?;
    Ok(OpenReply {})
}

/// By SKU; lines of the same SKU are added up.
fn lines_of(lines: &[SkuQuantity]) -> Result<Vec<ShipmentLine>> {
    if !(1..=LINES_MAX).contains(&lines.len()) {
        return Err(Error::invalid("/lines", format!("must have 1 to {LINES_MAX} lines")));
    }
    let checked = lines.iter().map(|line| {
        let (sku, quantity) = line.checked()?;
        Ok(ShipmentLine { sku, quantity })
    });
    history::sum(&checked.collect::<Result<Vec<_>>>()?)
}
