//! HTTP/1 on a connection: hyper while the client is active, nothing but the socket while it is not.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::StatusCode;
use hyper::server::conn::http1::{Builder, Parts};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::{Client, close, request};
use crate::config::types::Performance;
use crate::http::proxy::Tunnel;
use crate::worker::activity::{Activity, Order};
use crate::worker::framing::Refusal;
use crate::worker::io::{ClientIo, Transport};
use crate::worker::parked::Reason;
use crate::worker::thread::{Listed, Protocol};
use crate::worker::tunnel;

/// The least that hyper takes as a buffer limit.
const MIN_BUFFER: usize = 8192;

/// Header fields that hyper has room for by itself.
const FIELDS: u32 = 100;

/// Why hyper's part is over.
enum End {
    /// By HTTP's own rules.
    Done,
    /// The client speaks another protocol now; `unread` is how it begins.
    Switched(Box<Tunnel>),
    /// Malformed, or the stream broke.
    Failed(hyper::Error),
    Ordered(Order),
    /// The client's next head is malformed; hyper did not see it.
    Refused(Refusal),
}

/// Serves a connection until it closes or can be parked. `served`: a request was answered on it before.
pub async fn serve(transport: Transport, rewound: Bytes, client: Client, served: bool) {
    let (mut transport, mut rewound, mut served) = (transport, rewound, served);
    loop {
        let stretch = drive(transport, rewound, &client, served).await;
        transport = stretch.transport;
        rewound = stretch.unread;
        served |= stretch.answered;
        match stretch.end {
            End::Done => return close::finish(transport, client).await,
            End::Switched(upstream) => {
                return tunnel::begin(transport, rewound, *upstream, client);
            }
            End::Failed(error) => {
                if error.is_parse() {
                    let too_large = error.is_parse_too_large();
                    note_malformed(&client, if too_large { 431 } else { 400 });
                    close::finish(transport, client).await;
                } else if error.is_user() {
                    break_off(transport, client, stretch.unframed).await;
                }
                return;
            }
            End::Ordered(Order::HeadTimeout) => {
                note_malformed(&client, 408);
                return close::answer(transport, StatusCode::REQUEST_TIMEOUT, client).await;
            }
            End::Refused(refusal) => {
                let status = status(refusal);
                note_malformed(&client, status.as_u16());
                if refusal == Refusal::Foreign {
                    return close::finish(transport, client).await;
                }
                return close::answer(transport, status, client).await;
            }
            // The client's next head had begun in the very read that ended the last request.
            End::Ordered(Order::Park) if !rewound.is_empty() => {}
            End::Ordered(Order::Park) => {
                return close::park(transport, Reason::Idle { served }, client);
            }
            // The request is logged with it.
            End::Ordered(Order::TooSlow) if !stretch.responding => {
                return close::answer(transport, StatusCode::REQUEST_TIMEOUT, client).await;
            }
            End::Ordered(Order::TooSlow) => return close::reset(&transport),
            // In the middle of something there is no polite end.
            End::Ordered(_) if stretch.idle => return close::finish(transport, client).await,
            End::Ordered(_) => return,
        }
    }
}

/// Closes after a response that broke off. All that there is of it has left, and no end of it.
async fn break_off(transport: Transport, client: Client, unframed: bool) {
    // Where the end of the connection is the end of the body, TLS can still say that this is none (RFC 9112 section 9.8).
    let transport = if unframed {
        close::bare(transport)
    } else {
        transport
    };
    close::finish(transport, client).await;
}

fn note_malformed(client: &Client, status: u16) {
    let thread = client.thread();
    thread.recorder.malformed(status);
    if let Some(log) = &thread.access_log {
        log.add_malformed(&client.connection, status);
    }
}

fn status(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Malformed | Refusal::Foreign => StatusCode::BAD_REQUEST,
        Refusal::TargetTooLong => StatusCode::URI_TOO_LONG,
        Refusal::FieldsTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Refusal::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
        Refusal::UnknownVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
    }
}

/// What is left after a stretch of activity.
struct Stretch {
    end: End,
    transport: Transport,
    /// What hyper did not get.
    unread: Bytes,
    /// Whether a request came in.
    answered: bool,
    /// Nothing was under way in either direction.
    idle: bool,
    /// The response to the last request has begun, or one before it.
    responding: bool,
    /// It ends with the connection and with nothing else.
    unframed: bool,
}

async fn drive(transport: Transport, rewound: Bytes, client: &Client, served: bool) -> Stretch {
    let thread = client.thread();
    let activity = Rc::new(Activity::new(thread.clock.clone()));
    let protocol = match transport {
        Transport::Tls(_) => Protocol::Http1Tls,
        _ => Protocol::Http1,
    };
    let _listed = Listed::new(thread, &activity, protocol);
    let io = ClientIo::new(transport, activity.clone(), thread.recorder);
    let performance = &thread.process.config.performance;
    let mut io = io.guarded(rewound, performance.head_limits());
    let context = request::Context {
        thread: thread.clone(),
        connection: client.connection.clone(),
        activity: activity.clone(),
        counted: Rc::new(Cell::new(served)),
        files: io.enable_sendfile(),
    };
    let answered = Rc::new(Cell::new(false));
    let note = answered.clone();
    let service = service_fn(move |request| {
        note.set(true);
        request::answer(context.clone(), request)
    });
    let mut connection = builder(performance).serve_connection(TokioIo::new(io), service);
    let end = poll_fn(|context| poll(&mut connection, &activity, client, context)).await;
    let responding = activity.responding.get() || !activity.interim.is_empty();
    if matches!(end, End::Ordered(Order::TooSlow)) && !responding {
        let status = StatusCode::REQUEST_TIMEOUT.as_u16();
        activity.refused.set(Some(status));
    }
    // What hyper read and did not use is the rest of a body that nobody wanted: heads it gets whole.
    let Parts { io, .. } = connection.into_parts();
    let (transport, unread) = io.into_inner().into_parts();
    Stretch {
        end,
        transport,
        unread,
        answered: answered.get(),
        idle: activity.is_idle(),
        responding,
        unframed: activity.unframed.get(),
    }
}

fn builder(performance: &Performance) -> Builder {
    let mut builder = Builder::new();
    // A head that passes the gate must fit.
    let buffer = performance
        .read_buffer_size
        .max(performance.max_header_size);
    builder
        // Half-closed clients get their answer.
        .half_close(true)
        // The sweep has the clock.
        .header_read_timeout(None)
        .max_buf_size((buffer as usize).max(MIN_BUFFER))
        .writev(true);
    // Said only where it must be: hyper then takes memory for each head.
    if performance.max_headers > FIELDS {
        builder.max_headers(performance.max_headers as usize);
    }
    builder
}

/// Polls `connection`, and once more where hyper has overlooked a head: when a response ends whose request was read to its
/// end meanwhile, it looks for the next head in the socket alone, not among what it has read (`Conn::maybe_notify` of hyper
/// 1.12). A client that sent the next request already would wait for ever.
pub(in crate::worker) fn poll_hyper<C>(
    connection: &mut C,
    activity: &Activity,
    context: &mut Context<'_>,
) -> Poll<hyper::Result<()>>
where
    C: Future<Output = hyper::Result<()>> + Unpin,
{
    match Pin::new(&mut *connection).poll(context) {
        Poll::Pending if activity.is_overlooked() => Pin::new(connection).poll(context),
        outcome => outcome,
    }
}

fn poll<C>(
    connection: &mut C,
    activity: &Activity,
    client: &Client,
    context: &mut Context<'_>,
) -> Poll<End>
where
    C: Future<Output = hyper::Result<()>> + Unpin,
{
    activity.register(context);
    match poll_hyper(connection, activity, context) {
        Poll::Ready(Ok(())) => {
            let tunnel = activity.tunnel.take();
            return Poll::Ready(tunnel.map_or(End::Done, End::Switched));
        }
        Poll::Ready(Err(error)) => return Poll::Ready(End::Failed(error)),
        Poll::Pending => {}
    }
    if activity.hung_up.get() {
        return Poll::Ready(End::Ordered(Order::Look));
    }
    if let (Some(refusal), true) = (activity.refusal.get(), activity.has_answered()) {
        return Poll::Ready(End::Refused(refusal));
    }
    let leaving = || {
        client
            .thread()
            .hands_over(&client.connection)
            .then_some(Order::Park)
    };
    // What the sweep saw may be over by now.
    match activity.take_order().or_else(leaving) {
        Some(Order::Park) if activity.is_idle() => Poll::Ready(End::Ordered(Order::Park)),
        Some(Order::HeadTimeout) if activity.head_started.get() && activity.quiet() > 0 => {
            Poll::Ready(End::Ordered(Order::HeadTimeout))
        }
        Some(Order::TooSlow) => Poll::Ready(End::Ordered(Order::TooSlow)),
        Some(Order::Close) if activity.quiet() > 0 => Poll::Ready(End::Ordered(Order::Close)),
        _ => Poll::Pending,
    }
}
