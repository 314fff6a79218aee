//! The form of a log line on a terminal or in a file: time (RFC 3339, UTC), level, who, what. Fields that are made for
//! the journal stay there: the message says the same to people.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer, debug_fn};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::registry::LookupSpan;

use super::logging::Role;

pub(super) struct Line {
    pub(super) role: Role,
    /// Lines of lesser weight are left out.
    pub(super) least: Level,
}

/// The message, and the fields that are not the journal's.
pub(super) fn fields() -> impl for<'a> FormatFields<'a> + Send + Sync + 'static {
    debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{value:?}"),
        name if name == "MESSAGE_ID" || name.starts_with("BWS_") => Ok(()),
        name => write!(writer, " {name}={value:?}"),
    })
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        if level > self.least {
            return Ok(());
        }
        SystemTime.format_time(&mut writer)?;
        write_level(&mut writer, level)?;
        let role = match self.role {
            Role::Master => "master",
            Role::Worker { .. } => "worker",
        };
        write!(writer, "{role}[{}]: ", std::process::id())?;
        if level >= Level::DEBUG {
            write!(writer, "{}: ", event.metadata().target())?;
        }
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

fn write_level(writer: &mut Writer<'_>, level: Level) -> fmt::Result {
    if !writer.has_ansi_escapes() {
        return write!(writer, " {level:>5} ");
    }
    let colour = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        _ => 2,
    };
    write!(writer, " \x1b[{colour}m{level:>5}\x1b[0m ")
}
