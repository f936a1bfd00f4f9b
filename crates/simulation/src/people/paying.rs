//! At the cashier.

use merx_alipay_sandbox::EntryKind;
use merx_testkit::Answer;
use serde_json::json;

use super::{Shopper, Town, promises::has, town::Bought};

/// A cashier page that is open, or a code that is shown.
#[derive(Clone)]
pub struct Till {
    /// What the cashier knows the page by.
    pub code: String,
    payment_id: String,
    trade: String,
}

impl Till {
    /// Minor units that Alipay has really taken in this trade. A switch that somebody armed may have it take money of
    /// whoever closes next.
    pub async fn taken_minor(&self, town: &Town<'_>) -> i64 {
        let ledger = town.world.ledger().await;
        let mine = ledger.iter().filter(|e| e.out_trade_no == self.trade && e.kind == EntryKind::Capture);
        mine.map(|entry| entry.amount.minor).sum()
    }
}

impl Shopper<'_> {
    /// Begins to pay; `Err` with the refusal.
    pub async fn attempt(&self, bought: &Bought, method: &str) -> Option<Result<Till, Answer>> {
        let path = format!("/v1/payments/{}/attempts", bought.payment_id);
        let begun = self.client.post(path, json!({"method": method})).await?;
        if begun.status != 201 {
            return Some(Err(begun));
        }
        self.till(bought, &begun).await.map(Ok)
    }

    /// Where an attempt that was begun is paid.
    pub async fn till(&self, bought: &Bought, begun: &Answer) -> Option<Till> {
        let asked = begun.body.pointer("/amount/minor").and_then(serde_json::Value::as_i64);
        assert_eq!(asked, Some(bought.total_minor), "another sum is asked for: {}", begun.text);
        let id = begun.text_at("/id");
        let trade = id.split_once('_')?.1.to_owned();
        let path = format!("/v1/payments/{}", bought.payment_id);
        self.client.was_promised("an attempt", path, move |seen| has(seen, "id", &id));
        let sandbox = &self.client.town.world.sandbox;
        let code = match (begun.body["qr_code"].as_str(), begun.body["app_order"].as_str()) {
            (Some(qr), _) => qr.rsplit('/').next()?.to_owned(),
            (None, Some(order)) => sandbox.open(order).await.ok()?,
            (None, None) => sandbox.open(&begun.text_at("/pay_url")).await.ok()?,
        };
        self.client.town.has_begun(&trade);
        Some(Till { code, payment_id: bought.payment_id.clone(), trade })
    }

    /// Any of the ways to pay at Alipay.
    pub async fn at_a_till(&self, bought: &Bought) -> Option<Till> {
        let method = *self.client.dice.pick(&[
            "alipay_page",
            "alipay_page",
            "alipay_qr",
            "alipay_wap",
            "alipay_app",
        ])?;
        let till = self.attempt(bought, method).await?.ok()?;
        if self.one_in(2) {
            // Alipay may refuse who comes too late.
            drop(self.client.town.world.sandbox.log_in(&till.code).await);
        }
        Some(till)
    }

    /// Confirms at the cashier; whether money moved.
    pub async fn pays(&self, till: &Till) -> bool {
        let paid = self.client.town.world.sandbox.pay(&till.code).await;
        self.client.town.world.trace.see(format!("{} pays: {paid:?}", self.client.name));
        let (how, moved) = match &paid {
            Ok(paid) => (if paid.now { "paid" } else { "was paid" }.to_owned(), paid.now),
            Err(refused) => (refused.code.clone(), false),
        };
        self.client.town.tally.count(format!("cashier: {how}"), 1);
        if moved {
            self.client.town.has_paid(&till.payment_id, &till.trade);
        }
        moved
    }
}
