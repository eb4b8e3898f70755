//! Pages for people who don't sit at a terminal: one file with everything in it, nothing is fetched, no script.

pub mod svg;

use std::fmt::Write as _;

const STYLE: &str = "
:root{--paper:#fff;--ink:#1b2330;--soft:#5c6778;--line:#e3e7ee;--active:#5b6ee1;--candidate:#e08a3c;--bad:#c23b4b}
@media(prefers-color-scheme:dark){:root{--paper:#12161d;--ink:#e8ecf2;--soft:#98a3b5;--line:#2a3240;--active:#8794f0;--candidate:#f0a35e;--bad:#f07b88}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 20px 60px}h1{font-size:25px;margin:0 0 4px}h2{font-size:17px;margin:34px 0 2px}
p{margin:4px 0;color:var(--soft)}p.lead{color:var(--ink);font-size:17px;margin:8px 0}p.how{font-size:13px;margin:0 0 8px}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(178px,1fr));gap:12px;margin:20px 0 8px}
.figure{border:1px solid var(--line);border-radius:10px;padding:11px 12px}.figure b{display:block;font-size:19px;font-weight:600;white-space:nowrap}
.figure span{color:var(--soft);font-size:13px}.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr));gap:0 36px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:5px 10px;border-bottom:1px solid var(--line);white-space:nowrap}th{color:var(--soft);font-weight:500}
th:first-child,td:first-child,.text{text-align:left}td.flip{color:var(--bad);font-weight:600}td.group{color:var(--soft);padding-top:14px}
svg{width:100%;height:auto;display:block}.tick,.axis,.note{font:12px system-ui,sans-serif;fill:var(--soft)}.note{fill:var(--ink)}.grid{stroke:var(--line)}
rect.active{fill:var(--active)}rect.candidate{fill:var(--candidate)}rect.heat{fill:var(--active)}
polyline{fill:none;stroke-width:2}polyline.active{stroke:var(--active)}polyline.candidate{stroke:var(--candidate)}
.diagonal{stroke:var(--soft);stroke-dasharray:2 4}.gap{stroke:var(--bad);stroke-width:3}
.limit{stroke-dasharray:5 4}.limit.active{stroke:var(--active)}.limit.candidate{stroke:var(--candidate)}
details{margin:6px 0}summary{cursor:pointer;color:var(--soft);font-size:13px}
.dash{stroke-dasharray:5 4}.band{opacity:.16;stroke:none}
.key i{display:inline-block;width:11px;height:11px;border-radius:3px;margin:0 5px 0 14px}.key i:first-child{margin-left:0}
";

/// Series that have colours of their own; further ones begin again.
pub const SERIES: usize = 6;
/// Colours of series, by light and by dark.
const COLOURS: [[&str; 2]; SERIES] = [
    ["#5b6ee1", "#8794f0"],
    ["#e08a3c", "#f0a35e"],
    ["#2a9d6f", "#4fc795"],
    ["#b0488f", "#d97cbb"],
    ["#7a6a1f", "#c9b458"],
    ["#3a8fb7", "#6cbadf"],
];

/// Text that stands for itself in a page, whatever is in it.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A page's beginning: its title and the first heading.
#[must_use]
pub fn begin(title: &str) -> String {
    let title = escape(title);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>{title}</title><style>{STYLE}"
    );
    for (number, [light, _]) in COLOURS.iter().enumerate() {
        let _ = write!(
            page,
            ":root{{--s{number}:{light}}}polyline.s{number}{{stroke:var(--s{number})}}rect.s{number},polygon.s{number}{{fill:var(--s{number})}}.limit.s{number}{{stroke:var(--s{number})}}"
        );
    }
    page.push_str("@media(prefers-color-scheme:dark){:root{");
    for (number, [_, dark]) in COLOURS.iter().enumerate() {
        let _ = write!(page, "--s{number}:{dark};");
    }
    let _ = write!(page, "}}}}</style></head><body><main><h1>{title}</h1>");
    page
}

/// A page's end.
#[must_use]
pub const fn end() -> &'static str {
    "</main></body></html>\n"
}

/// Figures in boxes: each with what it is.
#[must_use]
pub fn figures(list: &[(String, String)]) -> String {
    let mut text = "<div class=\"figures\">".to_owned();
    for (figure, words) in list {
        let _ = write!(text, "<div class=\"figure\"><b>{figure}</b><span>{words}</span></div>");
    }
    text + "</div>"
}

/// Which colour is what: names are escaped here.
#[must_use]
pub fn key<N: AsRef<str>>(colours: &[(String, N)]) -> String {
    let mut text = "<p class=\"key\">".to_owned();
    for (colour, name) in colours {
        let _ = write!(
            text,
            "<i style=\"background:var(--{colour})\"></i>{}",
            escape(name.as_ref())
        );
    }
    text + "</p>"
}

/// The class of a series.
#[must_use]
pub fn series(number: usize) -> String {
    format!("s{}", number % SERIES)
}
