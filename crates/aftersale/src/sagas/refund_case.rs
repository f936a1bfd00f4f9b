//! `refund-case`: money of a case goes back. Ordering sets it aside first: there it is decided that no cancellation gives it
//! back too. From then on there is no way back. The case ends when payment says that the money is through.

use merx_contracts::{
    ids::{AfterSaleId, OrderId, PaymentKind, ReservationKind, ReturnKind, SagaId},
    inventory::v1 as inventory,
    ordering::v1 as ordering,
    payment::v1::{self as payment, refund_reply::State as RefundState},
};
use merx_kernel::{Error, Money, Result, Timestamp};
use merx_platform::{
    rpc::ask,
    saga::{End, NewSaga, Saga, SagaRun, Step, StepOutcome, derived_id},
};

use super::{Data, ORDER_ENDED, alarm, case_of, end, record, restock, until_done};
use crate::{
    State,
    domain::{Command, GrantedRefund},
};

/// The saga.
pub struct RefundCase(pub State);

impl Saga for RefundCase {
    const NAME: &'static str = "refund-case";
    const VERSION: i64 = 1;
    type Data = Data;
    const STEPS: &'static [Step<Self>] = &[
        Step::<Self>::new("grant-refund", |saga, run| Box::pin(saga.grant(&run.data))).pivot(),
        Step::new("restock", |saga, run| Box::pin(saga.restock(run))),
        Step::new("refund-payment", |saga, run| Box::pin(saga.refund(&run.data))),
    ];

    async fn finish(&self, run: &SagaRun<Data>, ended: &End) -> Result<()> {
        let command = match ended {
            End::Done => None,
            End::Refused { step, code, .. } => {
                if code != ORDER_ENDED {
                    alarm(&self.0, &run.data, Self::NAME, step, code);
                }
                Some(Command::Abandon)
            }
        };
        end(&self.0, "aftersale.refund_case_ended", (run.id, &run.data), command).await.map(drop)
    }
}

impl RefundCase {
    /// The saga of a case whose money goes back.
    ///
    /// # Errors
    /// `Internal` when its data cannot be written.
    pub fn of(order_id: OrderId, case_id: AfterSaleId, now: Timestamp) -> Result<NewSaga> {
        NewSaga::of::<Self>(Self::id(case_id), &Data { order_id, case_id }, now)
    }

    /// The saga's identity.
    pub fn id(case_id: AfterSaleId) -> SagaId {
        derived_id(case_id, Self::NAME)
    }

    async fn grant(&self, data: &Data) -> Result<StepOutcome> {
        let case = case_of(&self.0, data).await?;
        if case.granted.is_some() {
            return Ok(StepOutcome::Done);
        }
        let total =
            case.refund.total.ok_or_else(|| Error::internal("a case is refunded without an amount"))?;
        let refunds = if total.minor == 0 { Vec::new() } else { self.granted(data, total).await? };
        record(&self.0, "aftersale.refund_granted", data, Command::Grant { refunds }).await?;
        Ok(StepOutcome::Done)
    }

    async fn granted(&self, data: &Data, total: Money) -> Result<Vec<GrantedRefund>> {
        let request = ordering::GrantRefundRequest {
            order_id: data.order_id.to_string(),
            case_id: data.case_id.to_string(),
            amount: Some(total.into()),
        };
        let reply = ask(self.0.ordering().grant_refund(request).await)?;
        let wrong = || Error::internal("ordering granted a refund that cannot be read");
        let read = |part: ordering::GrantedRefund| {
            Ok(GrantedRefund {
                refund_id: part.refund_id.parse().map_err(|_| wrong())?,
                attempt_id: part.attempt_id.parse().map_err(|_| wrong())?,
                amount: part.amount.ok_or_else(wrong)?.try_into()?,
            })
        };
        reply.refunds.into_iter().map(read).collect()
    }

    /// What the buyer sent; of a replacement that came back, the replacement: the buyer's goods were restocked before it
    /// went.
    async fn restock(&self, run: &SagaRun<Data>) -> Result<StepOutcome> {
        if case_of(&self.0, &run.data).await?.replacement.is_empty() {
            return restock(&self.0, run).await;
        }
        let request = inventory::TakeBackRequest {
            return_id: run.effect_id::<ReturnKind>("replacement").to_string(),
            reservation_id: run.data.case_id.cast::<ReservationKind>().to_string(),
            lines: Vec::new(),
            reason: "replacement_returned".to_owned(),
            written_off: false,
        };
        until_done(ask(self.0.inventory().take_back(request).await))
    }

    async fn refund(&self, data: &Data) -> Result<StepOutcome> {
        let case = case_of(&self.0, data).await?;
        for refund in case.granted.into_iter().flatten() {
            let request = payment::RefundRequest {
                payment_id: data.order_id.cast::<PaymentKind>().to_string(),
                refund_id: refund.refund_id.to_string(),
                amount: Some(refund.amount.into()),
                reason: "after sale".to_owned(),
                attempt_id: refund.attempt_id.to_string(),
            };
            match ask(self.0.payments().refund(request).await).map(|reply| reply.state()) {
                Ok(RefundState::Requested) => {}
                // A cancellation may have asked for it first, and its fact have come before the case knew the refund.
                Ok(RefundState::Succeeded) => {
                    let command = Command::RecordRefund { refund_id: refund.refund_id };
                    record(&self.0, "aftersale.refund_succeeded", data, command).await?;
                }
                // Payment keeps it with a parked alert, and a person may take it up there; its fact ends the case then.
                Ok(RefundState::Failed) => {
                    self.0.metrics.alert("aftersale_refund_failed");
                    let (case_id, refund_id) = (data.case_id, refund.refund_id);
                    tracing::error!(%case_id, %refund_id, "the provider refuses a refund for good; see payment's alerts");
                }
                Ok(RefundState::Unspecified) => {
                    return Err(Error::internal("payment answered a refund without a state"));
                }
                Err(error) => return until_done::<()>(Err(error)),
            }
        }
        Ok(StepOutcome::Done)
    }
}
