//! What mails say: a template for each mail and language, embedded, in three parts.

use merx_contracts::events::{
    LocalText,
    ordering::{
        OrderAwaitingPaymentV2, OrderCancelledV2, OrderCompletedV2, OrderPaidV2, OrderRefunded, OrderShipped,
        OrderShippedV2, TitledLine,
    },
};
use merx_kernel::{Error, Money, Result, Timestamp};
use minijinja::{Environment, Value, context};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use crate::{
    domain::Template,
    words::{self, Language},
};

macro_rules! template {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../templates/zh-CN/", $name, ".jinja")),
            include_str!(concat!("../templates/en/", $name, ".jinja")),
        )
    };
}

/// Name, Chinese, English. Each holds a subject, a text and an HTML part, one after another below a line `--- part`.
const SOURCES: &[(&str, &str, &str)] = &[
    template!("order_placed"),
    template!("order_paid"),
    template!("order_shipped"),
    template!("order_completed"),
    template!("order_refunded"),
    template!("order_cancelled"),
    template!("code"),
];
const LAYOUT: &str = include_str!("../templates/layout.html");
/// The unreserved characters of RFC 3986 stay as they are.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A mail's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// A whole HTML page.
    pub html: String,
}

/// What a mail says besides what its fact holds: asked for when it is sent, kept nowhere.
#[derive(Clone, Default)]
pub struct Addressee {
    /// What the person is called; may be empty.
    pub name: String,
    /// The language.
    pub language: Language,
    /// The secret of a guest's order link; empty for members.
    pub guest_token: String,
}

/// A code as accounts gave it.
#[derive(Clone)]
pub struct CodeToMail {
    /// The code.
    pub code: String,
    /// What it is for.
    pub purpose: String,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

/// Renders mails for one shop.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    shop: String,
    public_url: String,
    utc_offset_minutes: i32,
}

/// The words of one rendering.
struct Words<'a> {
    templates: &'a Templates,
    language: Language,
}

impl Words<'_> {
    fn money(&self, amount: Money) -> String {
        words::money(amount, self.language)
    }
    fn time(&self, at: Timestamp) -> String {
        words::time(at, self.templates.utc_offset_minutes, self.language)
    }
    fn text(&self, text: LocalText) -> String {
        match self.language {
            Language::Chinese => text.zh,
            Language::English => text.en,
        }
    }
}

fn broken(what: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal(format!("a mail cannot be rendered: {what}")).with_source(error)
}

fn fact<F: DeserializeOwned>(parameters: &str) -> Result<F> {
    serde_json::from_str(parameters).map_err(|e| broken("its fact cannot be read", e))
}

/// The part of a source below the line `--- <part>`.
fn part(source: &'static str, name: &str) -> &'static str {
    let head = format!("--- {name}\n");
    let rest = source.split_once(head.as_str()).map_or("", |(_, rest)| rest);
    rest.split_once("\n--- ").map_or(rest, |(part, _)| part)
}

impl Templates {
    /// For a shop called `shop`, that buyers reach at `public_url`.
    ///
    /// # Errors
    /// `Internal` for a template that cannot be read.
    pub fn new(shop: &str, public_url: &str, utc_offset_minutes: i32) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        environment.add_template("layout.html", LAYOUT).map_err(|e| broken("layout", e))?;
        for (name, chinese, english) in SOURCES {
            for (language, source) in [("zh-CN", chinese), ("en", english)] {
                for (kind, ending) in [("subject", "txt"), ("text", "txt"), ("html", "html")] {
                    let name = format!("{language}/{name}.{kind}.{ending}");
                    environment
                        .add_template_owned(name.clone(), part(source, kind))
                        .map_err(|e| broken(&name, e))?;
                }
            }
        }
        Ok(Self { environment, shop: shop.to_owned(), public_url: public_url.to_owned(), utc_offset_minutes })
    }

    /// The words of a mail about an order.
    ///
    /// # Errors
    /// `Internal` when the fact does not fit the template.
    pub fn order(&self, template: Template, parameters: &str, to: &Addressee) -> Result<Rendered> {
        let words = Words { templates: self, language: to.language };
        let special = match template {
            Template::OrderPlaced => self.placed(fact(parameters)?, &words, to)?,
            Template::OrderPaid => {
                let fact: OrderPaidV2 = fact(parameters)?;
                context! { number => fact.number, amount => words.money(fact.amount) }
            }
            Template::OrderShipped => {
                let old = || fact::<OrderShipped>(parameters).map(OrderShippedV2::from);
                let fact: OrderShippedV2 = fact(parameters).or_else(|_| old())?;
                let line = |line: TitledLine| {
                    let (title, options) = (words.text(line.title), words.text(line.options));
                    context! { title => title, options => options, quantity => line.quantity.get() }
                };
                let lines: Vec<Value> = fact.lines.into_iter().map(line).collect();
                context! {
                    number => fact.number, carrier => fact.carrier, tracking_number => fact.tracking_number,
                    lines => lines, complete => fact.complete,
                }
            }
            Template::OrderCompleted => {
                let fact: OrderCompletedV2 = fact(parameters)?;
                context! { number => fact.number }
            }
            Template::OrderRefunded => {
                let fact: OrderRefunded = fact(parameters)?;
                context! { number => fact.number, amount => words.money(fact.amount) }
            }
            Template::OrderCancelled => {
                let fact: OrderCancelledV2 = fact(parameters)?;
                context! { number => fact.number, reason => fact.reason, paid => fact.paid }
            }
            Template::Code => return Err(Error::internal("a code is no mail about an order")),
        };
        self.render(template, &to.name, to.language, special)
    }

    fn placed(&self, fact: OrderAwaitingPaymentV2, words: &Words<'_>, to: &Addressee) -> Result<Value> {
        let mut lines = Vec::new();
        let mut goods = Money::zero(fact.total.currency);
        for line in fact.lines {
            goods = goods.plus(line.amount)?;
            lines.push(context! {
                title => words.text(line.title), options => words.text(line.options),
                quantity => line.quantity.get(), amount => words.money(line.amount),
            });
        }
        // What is neither goods nor freight was taken off.
        let discount = fact.total.minor - goods.minor - fact.freight.minor;
        let discount = (discount != 0).then(|| words.money(Money::new(discount, fact.total.currency)));
        let link = (!to.guest_token.is_empty()).then(|| {
            let token = utf8_percent_encode(&to.guest_token, KEPT);
            format!(
                "{}/order-links/{token}?order={}",
                self.public_url,
                utf8_percent_encode(&fact.number, KEPT)
            )
        });
        Ok(context! {
            number => fact.number, lines => lines, goods => words.money(goods),
            freight => words.money(fact.freight), discount => discount, total => words.money(fact.total),
            deadline => words.time(fact.payment_deadline), link => link,
        })
    }

    /// The words of a mail with a code.
    ///
    /// # Errors
    /// `Internal` when it cannot be rendered.
    pub fn code(&self, code: &CodeToMail, name: &str, language: Language) -> Result<Rendered> {
        let words = Words { templates: self, language };
        let special = context! {
            code => code.code.as_str(), purpose => code.purpose.as_str(), expires_at => words.time(code.expires_at),
        };
        self.render(Template::Code, name, language, special)
    }

    fn render(&self, template: Template, name: &str, language: Language, special: Value) -> Result<Rendered> {
        let all = context! { shop => self.shop.as_str(), name => name, ..special };
        let one = |file: &str| {
            let path = format!("{}/{}.{file}", language.tag(), template.name());
            self.environment.get_template(&path).and_then(|t| t.render(&all)).map_err(|e| broken(&path, e))
        };
        let subject: String = one("subject.txt")?.split_whitespace().collect::<Vec<_>>().join(" ");
        let body = one("html.html")?;
        let page = context! {
            language => language.tag(), subject => subject.as_str(), shop => self.shop.as_str(),
            body => Value::from_safe_string(body), english => language == Language::English,
        };
        let html = self
            .environment
            .get_template("layout.html")
            .and_then(|t| t.render(page))
            .map_err(|e| broken("layout", e))?;
        let text = format!("{}\n", one("text.txt")?.trim());
        Ok(Rendered { subject, text, html })
    }
}
