//! What is logged, and how.

use tracing_subscriber::EnvFilter;

use super::document::Section;

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// How a line is written.
    pub log_format: LogFormat,
    /// Which lines are written: directives as in `info,purveyor::engine=debug`.
    pub log_filter: String,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

pub(crate) fn read(mut section: Section<'_>) -> Telemetry {
    let telemetry =
        Telemetry { log_format: format(&mut section), log_filter: filter(&mut section) };
    section.end();
    telemetry
}

fn format(section: &mut Section<'_>) -> LogFormat {
    let Some(text) = section.optional::<String>("log_format") else { return LogFormat::Text };
    match text.value.as_str() {
        "text" => {}
        "json" => return LogFormat::Json,
        other => {
            text.place.refuse_with(format!("{other:?} is no format"), "write \"text\" or \"json\"");
        }
    }
    LogFormat::Text
}

fn filter(section: &mut Section<'_>) -> String {
    const DEFAULT: &str = "info";
    let Some(text) = section.optional::<String>("log_filter") else { return DEFAULT.to_owned() };
    if EnvFilter::try_new(&text.value).is_err() {
        text.place.refuse_with(
            format!("{:?} is no filter", text.value),
            "write a level, or directives as in \"info,purveyor::engine=debug\"",
        );
    }
    text.value
}
