//! The asks: parse, call, answer.

use merx_contracts::{
    common::v1 as common,
    ids::{AttemptId, OrderId, PaymentId, RefundId},
    payment::v1 as wire,
};
use merx_kernel::{Error, Money, Result, Timestamp};
use merx_platform::rpc::answer;
use tonic::{Request, Response, Status};

use crate::{
    commands::{Closing, RefundTerms},
    context::Payments,
    domain::{RefundState, Terms},
};

/// The most characters of a subject or a reason.
const TEXT_CHARS_MAX: usize = 256;

fn id<T: std::str::FromStr<Err = String>>(pointer: &str, text: &str) -> Result<T> {
    text.parse().map_err(|e: String| Error::invalid(pointer, e))
}

fn amount(money: Option<common::Money>) -> Result<Money> {
    money.ok_or_else(|| Error::invalid("/amount", "is missing"))?.try_into()
}

/// The part of `due` that is freight.
fn freight(freight: Option<common::Money>, due: Money) -> Result<Money> {
    let freight: Money = freight.map_or(Ok(Money::zero(due.currency)), Money::try_from)?;
    if freight.currency != due.currency || !(0..=due.minor.max(0)).contains(&freight.minor) {
        return Err(Error::invalid("/freight", "must be a part of the amount"));
    }
    Ok(freight)
}

fn text(pointer: &str, text: String) -> Result<String> {
    let length = text.chars().count();
    if (1..=TEXT_CHARS_MAX).contains(&length) {
        return Ok(text);
    }
    Err(Error::invalid(pointer, format!("must have 1 to {TEXT_CHARS_MAX} characters, has {length}")))
}

#[tonic::async_trait]
impl wire::payments_server::Payments for Payments {
    async fn timeline(
        &self,
        request: Request<common::TimelineRequest>,
    ) -> Result<Response<common::TimelineReply>, Status> {
        let ask = request.into_inner();
        let told = async {
            let order_id: OrderId = id("/order_id", &ask.order_id)?;
            Ok(common::TimelineReply { entries: Payments::timeline(self, order_id).await? })
        };
        answer(told.await)
    }

    async fn open(&self, request: Request<wire::OpenRequest>) -> Result<Response<wire::OpenReply>, Status> {
        let ask = request.into_inner();
        let opened = async {
            let payment_id: PaymentId = id("/payment_id", &ask.payment_id)?;
            let order_id: OrderId = id("/order_id", &ask.order_id)?;
            let due = amount(ask.amount)?;
            let terms = Terms {
                order_id,
                buyer: id("/account_id", &ask.account_id)?,
                amount: due,
                freight: freight(ask.freight, due)?,
                deadline: Timestamp::from_millis(ask.deadline),
                subject: text("/subject", ask.subject)?,
            };
            Payments::open(self, payment_id, terms).await?;
            Ok(wire::OpenReply {})
        };
        answer(opened.await)
    }

    async fn accept_deposit(
        &self,
        request: Request<wire::AcceptDepositRequest>,
    ) -> Result<Response<wire::AcceptDepositReply>, Status> {
        let ask = request.into_inner();
        let accepted = async {
            let payment_id: PaymentId = id("/payment_id", &ask.payment_id)?;
            let attempt_id: AttemptId = id("/attempt_id", &ask.attempt_id)?;
            Payments::accept_deposit(self, payment_id, attempt_id, amount(ask.amount)?).await?;
            Ok(wire::AcceptDepositReply {})
        };
        answer(accepted.await)
    }

    async fn close(
        &self,
        request: Request<wire::CloseRequest>,
    ) -> Result<Response<wire::CloseReply>, Status> {
        let ask = request.into_inner();
        let closed = async {
            let payment_id: PaymentId = id("/payment_id", &ask.payment_id)?;
            use wire::close_reply::Outcome;
            let (outcome, retry_at) = match Payments::close(self, payment_id).await? {
                Closing::Closed => (Outcome::Closed, 0),
                Closing::Captured => (Outcome::Captured, 0),
                Closing::Pending(retry_at) => (Outcome::Pending, retry_at.as_millis()),
            };
            Ok(wire::CloseReply { outcome: outcome.into(), retry_at })
        };
        answer(closed.await)
    }

    async fn refund(
        &self,
        request: Request<wire::RefundRequest>,
    ) -> Result<Response<wire::RefundReply>, Status> {
        let ask = request.into_inner();
        let refunded = async {
            let payment_id: PaymentId = id("/payment_id", &ask.payment_id)?;
            let refund_id: RefundId = id("/refund_id", &ask.refund_id)?;
            let attempt_id: AttemptId = id("/attempt_id", &ask.attempt_id)?;
            let reason = text("/reason", ask.reason)?;
            let terms = RefundTerms { refund_id, attempt_id, amount: amount(ask.amount)?, reason };
            use wire::refund_reply::State;
            let state = match Payments::refund(self, payment_id, terms).await? {
                RefundState::Requested => State::Requested,
                RefundState::Succeeded => State::Succeeded,
                RefundState::Failed { .. } => State::Failed,
            };
            Ok(wire::RefundReply { state: state.into() })
        };
        answer(refunded.await)
    }
}
