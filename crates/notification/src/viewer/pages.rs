//! The pages themselves.

use merx_kernel::Result;
use minijinja::{Environment, Value, context};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::broken;
use crate::{transport::Kept, words::Language};

const LIST: &str = include_str!("list.html");
const MAIL: &str = include_str!("mail.html");

/// The words of the chrome: name, Chinese, English.
const WORDS: &[(&str, &str, &str)] = &[
    ("title", "邮件查看器", "Mail viewer"),
    (
        "note",
        "商城发出的邮件都在这里，不会真正寄出。",
        "Mails the shop sends end up here; none really leaves.",
    ),
    ("search", "按收件地址搜索", "Search by address"),
    ("find", "搜索", "Search"),
    ("to", "收件人", "To"),
    ("from", "发件人", "From"),
    ("subject", "主题", "Subject"),
    ("at", "时间（UTC）", "Time (UTC)"),
    ("none", "还没有邮件。", "There are no mails yet."),
    ("nothing", "没有匹配的邮件。", "No mail matches."),
    ("back", "返回列表", "Back to the list"),
    ("html", "HTML 版本", "As HTML"),
    ("text", "纯文本版本", "As text"),
    ("download", "下载 .eml", "Download .eml"),
    ("message_id", "Message-ID", "Message-ID"),
];

/// Renders the pages.
pub(super) struct Pages(Environment<'static>);

fn words(language: Language) -> Value {
    let word = |(name, zh, en): &(&str, &str, &str)| {
        ((*name).to_owned(), if language == Language::English { *en } else { *zh }.to_owned())
    };
    Value::from_pairs(WORDS.iter().map(word))
}

fn shown(kept: &Kept) -> Value {
    let letter = &kept.letter;
    context! {
        id => kept.id.as_str(), at => letter.at.to_string(), to => letter.to.as_str(),
        to_name => letter.to_name.as_str(), from => letter.from.as_str(), subject => letter.subject.as_str(),
        language => letter.language.as_str(), text => letter.text.as_str(),
        message_id => letter.message_id.as_str(),
    }
}

impl Pages {
    pub(super) fn new() -> Result<Self> {
        let mut environment = Environment::new();
        environment.add_template("list.html", LIST).map_err(broken)?;
        environment.add_template("mail.html", MAIL).map_err(broken)?;
        Ok(Self(environment))
    }

    pub(super) fn list(&self, mails: &[Kept], q: &str, language: Language) -> Result<String> {
        let mails: Vec<Value> = mails.iter().map(shown).collect();
        let page = context! {
            w => words(language), mails => mails, q => q,
            q_url => utf8_percent_encode(q, NON_ALPHANUMERIC).to_string(), tag => language.tag(),
            lang => short(language), other => other(language),
        };
        self.0.get_template("list.html").and_then(|t| t.render(page)).map_err(broken)
    }

    pub(super) fn mail(&self, kept: &Kept, language: Language) -> Result<String> {
        let page = context! {
            w => words(language), mail => shown(kept), tag => language.tag(),
            lang => short(language), other => other(language),
        };
        self.0.get_template("mail.html").and_then(|t| t.render(page)).map_err(broken)
    }
}

const fn short(language: Language) -> &'static str {
    match language {
        Language::Chinese => "zh",
        Language::English => "en",
    }
}

/// The other language's code and own name.
fn other(language: Language) -> Value {
    match language {
        Language::Chinese => context! { code => "en", name => "English" },
        Language::English => context! { code => "zh", name => "中文" },
    }
}
