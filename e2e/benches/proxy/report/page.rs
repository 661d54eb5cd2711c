//! The report as one page, which needs nothing else: no script, no font, no network.

use std::fmt::Write as _;

use anyhow::Result;

use super::Report;
use super::plot::{draw, escaped};

const STYLE: &str = "\
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2127; max-width: 1000px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .4rem; }
.warning { background: #fff4d6; padding: .6rem 1rem; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: #444c56; }
.grid { stroke: #d8dee4; } .range { stroke-width: 3; opacity: .45; }
.ours { fill: #0a6e50; stroke: #0a6e50; } .other { fill: #6e7781; stroke: #6e7781; }
svg g text { stroke: none; } .ours text { fill: #0a6e50; font-weight: 600; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #d8dee4; vertical-align: top; }
.met { color: #0a6e50; } .missed { color: #b42318; font-weight: 600; }
pre { font-size: 11px; overflow-x: auto; background: #f6f8fa; padding: 1rem; }";

const DUTIES: &str = "\
<ul>\
<li><b>direct</b>: the call that the application would make without a proxy, HTTPS. It is taken off all that is said to be added.</li>\
<li><b>nginx</b>, <b>envoy</b>, <b>sidecar T1</b>: one path and method allowed, the caller's credentials taken off, the provider's key put in, \
the provider's certificate verified, its connections kept, a line of log for each call. <b>T0</b> is the sidecar with a rule that allows all.</li>\
<li><b>sidecar T2</b>: and the call is read; model, operation and an expression over its facts (<code>request.maxTokens &lt;= 2000 &amp;&amp; \
size(request.tools) &lt; 8</code>) decide; usage and cost are counted, against limits of requests, tokens and money. <b>T3</b>: and all kinds of personal data and keys that it knows are masked in answers.</li>\
<li><b>litellm</b>: as T2 without a list of paths; the expression is a hook in Python. <b>portkey</b>: the call is read, one model allowed, the key \
is put in; it counts nothing and has no limits. Both write bodies anew; what they say is compared, not their bytes.</li>\
</ul>";

impl Report<'_> {
    /// The page.
    pub(super) fn page(&self) -> Result<String> {
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Postern: what it costs</title>\n<style>{STYLE}</style>\n\
             <h1>What a call costs on its way</h1>\n"
        );
        if self.is_quick {
            page.push_str(
                "<p class=\"warning\">Made with <code>--quick</code>: a first look. Few rounds and short runs; do not quote its p99.</p>\n",
            );
        }
        page.push_str("<ul>");
        for remark in self.remarks() {
            write!(page, "<li>{}</li>", escaped(&remark))?;
        }
        page.push_str("</ul>\n<h2>Who does what</h2>\n");
        page.push_str(DUTIES);
        page.push_str("\n<h2>Goals</h2>\n<table>");
        for goal in self.goals() {
            let (class, word) = match goal.met {
                true => ("met", "met"),
                false => ("missed", "not met"),
            };
            write!(
                page,
                "<tr><td class=\"{class}\">{word}</td><td>{}</td><td>{}</td></tr>",
                escaped(&goal.goal),
                escaped(&goal.measured)
            )?;
        }
        page.push_str("</table>\n");
        for figure in self.figures() {
            let is_ours = |name: &str| name.contains("sidecar");
            write!(
                page,
                "<h2>{}</h2>\n{}\n",
                escaped(&figure.heading()),
                draw(&figure, is_ours)?
            )?;
        }
        write!(
            page,
            "<h2>All stages</h2>\n<pre>{}</pre>\n<p>Repeat it: <code>cargo bench -p postern-e2e{}</code>. Every run as a line of JSON: \
             <code>proxy.json</code> beside this page.</p>\n</html>\n",
            escaped(&self.tables()?),
            if self.is_quick { " -- --quick" } else { "" }
        )?;
        Ok(page)
    }
}
