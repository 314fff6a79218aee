//! The body of `GET /api/events`: events as they happen, in the format of the WHATWG HTML standard, section 9.2
//! (server-sent events).

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use serde_json::json;
use tokio::time::{Interval, MissedTickBehavior};

use crate::core::chronicle::{Entry, Follower, News};

/// While nothing happens, a comment says that the stream lives.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
/// After how many milliseconds a client comes back when the stream has ended.
const RETRY: u64 = 1000;

pub(super) struct EventStream {
    opening: Option<String>,
    follower: Follower,
    heartbeat: Interval,
}

/// The event after which a client wants to go on. What cannot be a number of ours is an event that nobody knows.
pub(super) fn last_event(headers: &HeaderMap) -> Option<u64> {
    let id = headers.get("last-event-id")?;
    let id = id.to_str().unwrap_or_default().trim();
    Some(id.parse().unwrap_or(0))
}

impl EventStream {
    /// Begins with the position of `follower`, so that a client knows it also before the first event.
    pub(super) fn new(follower: Follower, heartbeat: Duration) -> Self {
        let opening = format!("retry: {RETRY}\nid: {}\n\n", follower.position());
        let start = tokio::time::Instant::now() + heartbeat;
        let mut heartbeat = tokio::time::interval_at(start, heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            opening: Some(opening),
            follower,
            heartbeat,
        }
    }

    fn poll_text(&mut self, context: &mut Context<'_>) -> Poll<Option<String>> {
        if let Some(opening) = self.opening.take() {
            return Poll::Ready(Some(opening));
        }
        match self.follower.poll_news(context) {
            Poll::Ready(news) => {
                self.heartbeat.reset();
                Poll::Ready(news.map(|news| text(&news)))
            }
            Poll::Pending => {
                let beat = self.heartbeat.poll_tick(context);
                beat.map(|_| Some(": nothing new\n\n".to_owned()))
            }
        }
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let text = self.poll_text(context);
        text.map(|text| Some(Ok(Frame::data(text?.into()))))
    }
}

fn text(news: &News) -> String {
    let mut text = String::new();
    match news {
        News::Told(entries) => {
            for Entry { id, event, record } in entries.iter().map(AsRef::as_ref) {
                write(&mut text, *id, event, record);
            }
        }
        News::Lost { after, first } => {
            let record = json!({
                "event": "events-lost",
                "at": UNIX_EPOCH.elapsed().unwrap_or_default().as_secs(),
                "level": "warn",
                "message": format!("what came after event {after} is not known any more; {first} is the next one"),
                "after": after,
                "first": first,
            });
            let id = first.saturating_sub(1);
            write(&mut text, id, "events-lost", &record.to_string());
        }
    }
    text
}

fn write(text: &mut String, id: u64, event: &str, record: &str) {
    // Writing into a String does not fail.
    let _ = write!(text, "id: {id}\nevent: {event}\ndata: {record}\n\n");
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::core::chronicle::{Chronicle, Side};

    async fn next(stream: &mut EventStream) -> Option<String> {
        let frame = stream.frame().await?.unwrap();
        let bytes = frame.into_data().unwrap();
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_stream_says_where_it_is_what_happens_and_that_it_lives() {
        let chronicle = Chronicle::begin();
        chronicle.tell("before", "{}".into());
        let last = chronicle.latest(1)[0].id;
        let follower = chronicle.follow(Side::Socket, None).unwrap();
        let mut stream = EventStream::new(follower, Duration::from_millis(10));
        let opening = format!("retry: 1000\nid: {last}\n\n");
        assert_eq!(next(&mut stream).await.unwrap(), opening);
        assert_eq!(next(&mut stream).await.unwrap(), ": nothing new\n\n");
        chronicle.tell("now", r#"{"a":1}"#.into());
        let event = format!("id: {}\nevent: now\ndata: {{\"a\":1}}\n\n", last + 1);
        assert_eq!(next(&mut stream).await.unwrap(), event);
        chronicle.close();
        assert_eq!(next(&mut stream).await, None);
    }

    #[tokio::test]
    async fn who_asks_for_too_much_is_told() {
        let chronicle = Chronicle::begin();
        chronicle.tell("first", "{}".into());
        let first = chronicle.latest(1)[0].id;
        let follower = chronicle.follow(Side::Socket, Some(7)).unwrap();
        let mut stream = EventStream::new(follower, HEARTBEAT);
        assert!(next(&mut stream).await.unwrap().ends_with("\nid: 7\n\n"));
        let lost = next(&mut stream).await.unwrap();
        let expected = format!("id: {}\nevent: events-lost\ndata: {{", first - 1);
        assert!(lost.starts_with(&expected), "{lost}");
        assert!(next(&mut stream).await.unwrap().contains("event: first\n"));
    }

    #[test]
    fn an_identifier_that_is_none_is_unknown() {
        let asked = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("last-event-id", id.parse().unwrap());
            last_event(&headers)
        };
        assert_eq!(last_event(&HeaderMap::new()), None);
        assert_eq!(
            [asked("17"), asked(" 17"), asked("x"), asked("-1")].map(Option::unwrap),
            [17, 17, 0, 0]
        );
    }
}
