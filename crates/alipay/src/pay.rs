//! The methods that answer the buyer and not the caller: a page, a page of a phone, an app. No trade exists until the
//! buyer acts.

use std::marker::PhantomData;

use merx_kernel::Result;
use serde::Serialize;

use crate::{
    calls::{Method, check_url},
    values::{BeijingTime, OutTradeNo, Subject, Yuan},
};

/// Where the buyer pays.
pub trait Cashier {
    /// The name of the method.
    const METHOD: &'static str;
    /// What Alipay calls the contract it falls under.
    const PRODUCT_CODE: &'static str;
}

/// Alipay's page on a computer.
#[derive(Clone, Copy, Debug)]
pub enum OnPage {}
impl Cashier for OnPage {
    const METHOD: &'static str = "alipay.trade.page.pay";
    const PRODUCT_CODE: &'static str = "FAST_INSTANT_TRADE_PAY";
}

/// Alipay's page in the browser of a phone, which opens the app.
#[derive(Clone, Copy, Debug)]
pub enum OnPhone {}
impl Cashier for OnPhone {
    const METHOD: &'static str = "alipay.trade.wap.pay";
    const PRODUCT_CODE: &'static str = "QUICK_WAP_WAY";
}

/// Alipay's SDK inside an app of the shop.
#[derive(Clone, Copy, Debug)]
pub enum InApp {}
impl Cashier for InApp {
    const METHOD: &'static str = "alipay.trade.app.pay";
    const PRODUCT_CODE: &'static str = "QUICK_MSECURITY_PAY";
}

/// `alipay.trade.page.pay`: a signed URL for the buyer's browser.
pub type PagePay = Pay<OnPage>;
/// `alipay.trade.wap.pay`: a signed URL for the browser of a phone.
pub type WapPay = Pay<OnPhone>;
/// `alipay.trade.app.pay`: a signed text for Alipay's SDK in an app ([`crate::SignedRequest::order_text`]).
pub type AppPay = Pay<InApp>;

/// An order for the buyer to pay.
#[derive(Clone, Debug, Serialize)]
pub struct Pay<C> {
    /// Our number for the attempt.
    pub out_trade_no: OutTradeNo,
    /// What is to be paid.
    pub total_amount: Yuan,
    /// What the buyer reads.
    pub subject: Subject,
    product_code: &'static str,
    /// When the cashier stops taking money; absolute, because a close cannot stop a trade that does not exist.
    pub time_expire: BeijingTime,
    #[serde(skip)]
    notify_url: String,
    #[serde(skip)]
    return_url: Option<String>,
    #[serde(skip)]
    cashier: PhantomData<C>,
}

impl<C: Cashier> Pay<C> {
    /// An order; notifications about it go to `notify_url`.
    pub fn new(
        out_trade_no: OutTradeNo,
        total_amount: Yuan,
        subject: Subject,
        time_expire: BeijingTime,
        notify_url: impl Into<String>,
    ) -> Self {
        Self {
            out_trade_no,
            total_amount,
            subject,
            product_code: C::PRODUCT_CODE,
            time_expire,
            notify_url: notify_url.into(),
            return_url: None,
            cashier: PhantomData,
        }
    }
    /// Where the browser goes after paying; never proof of payment.
    #[must_use]
    pub fn returning_to(mut self, url: impl Into<String>) -> Self {
        self.return_url = Some(url.into());
        self
    }
}

impl<C: Cashier> Method for Pay<C> {
    const METHOD: &'static str = C::METHOD;
    fn notify_url(&self) -> Option<&str> {
        Some(&self.notify_url)
    }
    fn return_url(&self) -> Option<&str> {
        self.return_url.as_deref()
    }
    fn check(&self) -> Result<()> {
        check_url("notify_url", self.notify_url())?;
        check_url("return_url", self.return_url())
    }
}
