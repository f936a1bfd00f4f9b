//! The asks catalogue answers.

use merx_contracts::{
    catalogue::v1::{QuoteReply, QuoteRequest, QuotedLine, catalogue_server},
    common::v1::LocalText,
    ids::Sku,
};
use merx_kernel::{Error, Result};
use merx_platform::rpc;
use tonic::{Request, Response, Status};

use crate::State;

/// The most lines one quote may have.
pub const QUOTE_LINES_MAX: usize = 100;

/// Serves the asks.
pub struct CatalogueRpc(pub State);

#[tonic::async_trait]
impl catalogue_server::Catalogue for CatalogueRpc {
    async fn quote(&self, request: Request<QuoteRequest>) -> Result<Response<QuoteReply>, Status> {
        rpc::answer(quote(&self.0, request.into_inner()).await)
    }
}

async fn quote(state: &State, request: QuoteRequest) -> Result<QuoteReply> {
    if request.lines.len() > QUOTE_LINES_MAX {
        return Err(Error::invalid("/lines", format!("at most {QUOTE_LINES_MAX} lines")));
    }
    let asked = request.lines.iter().map(|line| line.checked()).collect::<Result<Vec<_>>>()?;
    let codes: Vec<Sku> = asked.iter().map(|(sku, _)| sku.clone()).collect();
    let now = state.clock.now();
    let found = state.prices.of(&state.db, &codes, now).await?;
    let lines = asked
        .into_iter()
        .map(|(sku, quantity)| {
            let mut line =
                QuotedLine { sku: sku.to_string(), quantity: quantity.get(), ..QuotedLine::default() };
            let Some(known) = found.get(&sku) else {
                line.reason = "catalogue.sku_unknown".to_owned();
                return line;
            };
            line.product_id = known.product.to_string();
            line.title = Some(LocalText { zh: known.title.0.clone(), en: known.title.1.clone() });
            line.options = Some(LocalText { zh: known.choices.0.clone(), en: known.choices.1.clone() });
            line.unit_price = Some(known.price_at(now).into());
            line.weight_grams = known.weight_grams;
            line.limit_per_order = known.limit_per_order;
            line.limit_per_buyer = known.limit_per_buyer;
            line.sellable = known.is_sellable(now);
            if !line.sellable {
                line.reason = "catalogue.sku_delisted".to_owned();
            }
            line
        })
        .collect();
    Ok(QuoteReply { lines })
}
