//! The way of a write: what is allowed, recorded and done, and what a caller is told of it.

use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use access::audit::{Audit, Options};
use access::caller::{Access, AccessConfig, Role, Verb};
use access::edit::{Action, Asked, ChangeState, Done, EditService, Plan};
use access::{Problem, Refusal};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use testkit::TempDir;
use tokio::sync::Notify;
use tokio::time::Instant;
use toolkit::web::response;
use toolkit::{Request, Response, yaml};

const RUN: Verb = Verb::new("job.run", Role::Operator);
const STOP: Verb = Verb::new("job.stop", Role::Admin);
const VERBS: &[&Verb] = &[&RUN];
const USERS: &str = "web_users: {alice: operator, bob: viewer, carol: admin}";

struct Place {
    dir: TempDir,
    edits: EditService,
    policy: Arc<Mutex<Option<Arc<Access>>>>,
    done: Arc<AtomicUsize>,
}

fn access(text: &str) -> Arc<Access> {
    let config: AccessConfig = yaml::parse(text, Path::new("access.yaml")).unwrap();
    Arc::new(config.check(&[RUN, STOP]).unwrap())
}

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let audit = Audit::open(&dir.join("audit"), Options::default()).unwrap();
        let policy = Arc::new(Mutex::new(Some(access(USERS))));
        let asked = Arc::clone(&policy);
        Self {
            edits: EditService::new(audit, move || asked.lock().unwrap().clone()),
            dir,
            policy,
            done: Arc::default(),
        }
    }

    /// Every record, oldest first.
    fn records(&self) -> Vec<Value> {
        let file = self.dir.join("audit/audit-00000000000000000001.jsonl");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    async fn recorded(&self, count: usize) -> Vec<Value> {
        testkit::eventually(Duration::from_secs(10), || async {
            let records = self.records();
            anyhow::ensure!(records.len() >= count, "{records:?}");
            Ok(())
        })
        .await
        .unwrap();
        self.records()
    }

    /// A write that does nothing but count.
    async fn run(&self, request: Request) -> Response {
        let done = Arc::clone(&self.done);
        self.edits
            .change(request, VERBS, move |_| async move { Ok(counting(done)) })
            .await
    }

    fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }
}

fn counting(done: Arc<AtomicUsize>) -> Plan {
    Plan::new(
        Action::new(&RUN, "job", "nightly"),
        move |granted| async move {
            assert_eq!(granted.action.object(), "job/nightly");
            let number = done.fetch_add(1, Ordering::SeqCst) + 1;
            Ok(Done::json(
                StatusCode::CREATED,
                &json!({"number": number}),
                "n",
            ))
        },
    )
    .preview(json!({"runs": "nightly"}))
}

fn post(user: &str) -> Request {
    Request::new(Method::POST, "/api/v1/jobs", "{}")
        .unwrap()
        .with_user(user)
}

fn with(request: Request, name: &'static str, value: &str) -> Request {
    request.with_header(
        HeaderName::from_static(name),
        HeaderValue::from_str(value).unwrap(),
    )
}

fn body(answer: &Response) -> Value {
    serde_json::from_slice(&response::bytes(answer)).unwrap()
}

#[tokio::test]
async fn what_is_allowed_is_recorded_and_done() {
    let place = Place::new();
    let answer = place.run(post("alice")).await;
    assert_eq!(
        (answer.status(), body(&answer)),
        (StatusCode::CREATED, json!({"number": 1}))
    );
    let records = place.records();
    let of = |at: usize, member: &str| records[at][member].clone();
    assert_eq!(
        (of(0, "event"), of(0, "verb"), of(0, "object")),
        ("begun".into(), "job.run".into(), "job/nightly".into())
    );
    assert_eq!(
        (of(1, "event"), of(1, "outcome"), of(1, "detail")),
        ("ended".into(), "done".into(), "n".into())
    );
    assert_eq!(of(0, "subject"), "alice");
}

#[tokio::test]
async fn a_dry_run_shows_and_changes_nothing() {
    let place = Place::new();
    let request = Request::new(Method::POST, "/api/v1/jobs?validate=true", "{}").unwrap();
    let answer = place.run(request.with_user("alice")).await;
    assert_eq!(body(&answer), json!({"runs": "nightly", "valid": true}));
    assert_eq!((place.done(), place.records().len()), (0, 0));
    let request = Request::new(Method::POST, "/api/v1/jobs?validate=yes", "{}").unwrap();
    assert_eq!(place.run(request.with_user("alice")).await.status(), 400);
}

#[tokio::test]
async fn every_refusal_leaves_a_record() {
    let place = Place::new();
    for (at, (user, status, detail)) in [
        ("mallory", 401, "401: user_not_mapped"),
        ("bob", 403, "403: forbidden"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(place.run(post(user)).await.status(), status, "{user}");
        let records = place.recorded(at + 1).await;
        assert_eq!(
            (&records[at]["event"], &records[at]["detail"]),
            (&json!("refused"), &json!(detail))
        );
        assert_eq!(records[at]["verb"], "job.run");
    }
    let refuse = |status, kind: &'static str| {
        place
            .edits
            .change(post("alice"), VERBS, move |asked: Asked| async move {
                asked.intend(Action::new(&RUN, "job", "weekly"))?;
                Err::<Plan, Refusal>(Problem::of(status, kind, "Title", "a detail").into())
            })
    };
    for (at, status, kind) in [(2, 412, "stale"), (3, 422, "invalid")] {
        assert_eq!(refuse(status, kind).await.status(), status);
        let records = place.recorded(at + 1).await;
        assert_eq!(records[at]["object"], "job/weekly");
        assert_eq!(records[at]["detail"], format!("{status}: {kind}"));
        assert_eq!(records[at]["subject"], "alice");
    }
    assert_eq!(place.done(), 0);
}

/// Who is refused without end does not fill the disk, and the log says how many there were.
#[tokio::test]
async fn refusals_without_end_are_counted_and_not_all_recorded() {
    let place = Place::new();
    for _ in 0..500 {
        assert_eq!(place.run(post("mallory")).await.status(), 401);
    }
    // Those who are known have an allowance of their own.
    assert_eq!(place.run(post("bob")).await.status(), 403);
    testkit::eventually(Duration::from_secs(10), || async {
        let records = place.records();
        let last = records.iter().any(|record| record["subject"] == "bob");
        anyhow::ensure!(last, "{}", records.len());
        Ok(())
    })
    .await
    .unwrap();
    let records = place.records();
    assert!((60..120).contains(&records.len()), "{}", records.len());
}

#[tokio::test]
async fn the_right_is_to_what_will_be_done() {
    let place = Place::new();
    // The request may come to either; alice may do only one of them.
    let either: &[&Verb] = &[&RUN, &STOP];
    let answer = place
        .edits
        .change(post("alice"), either, |_| async {
            Ok(Plan::new(Action::new(&STOP, "job", "nightly"), |_| async {
                panic!("it is not allowed")
            }))
        })
        .await;
    assert_eq!(answer.status(), 403);
    let records = place.recorded(1).await;
    assert_eq!(
        (&records[0]["event"], &records[0]["verb"]),
        (&json!("refused"), &json!("job.stop"))
    );
}

#[tokio::test]
async fn a_key_is_done_once_and_what_was_refused_may_be_tried_again() {
    let place = Place::new();
    let keyed = |user: &str| with(post(user), "idempotency-key", "k1");
    let (first, second) = tokio::join!(place.run(keyed("alice")), place.run(keyed("alice")));
    assert_eq!(
        (
            first.status().as_u16(),
            second.status().as_u16(),
            place.done()
        ),
        (201, 201, 1)
    );
    let again = place.run(keyed("alice")).await;
    assert_eq!(
        (body(&again), &again.headers()["idempotent-replayed"]),
        (json!({"number": 1}), &"true".parse().unwrap())
    );
    let other = Request::new(Method::POST, "/api/v1/jobs", "other").unwrap();
    let other = with(other.with_user("alice"), "idempotency-key", "k1");
    assert_eq!(place.run(other).await.status(), 422);
    // The key of another caller is another key.
    assert_eq!(
        (
            place.run(keyed("carol")).await.status().as_u16(),
            place.done()
        ),
        (201, 2)
    );
    let refused = with(post("alice"), "idempotency-key", "k2");
    let refuse = |request| {
        place.edits.change(request, VERBS, |_| async {
            Err::<Plan, Refusal>(Problem::of(409, "busy", "Busy", "").into())
        })
    };
    assert_eq!(refuse(refused.clone()).await.status(), 409);
    assert_eq!(
        (place.run(refused).await.status().as_u16(), place.done()),
        (201, 3)
    );
}

fn soon(request: Request) -> Request {
    request.with_deadline(Instant::now() + Duration::from_millis(300))
}

/// A write that waits for `gate` before it is prepared, or once it is begun.
fn waiting(
    done: &Arc<AtomicUsize>,
    gate: &Arc<Notify>,
    prepared: bool,
) -> impl FnOnce(Asked) -> std::pin::Pin<Box<dyn Future<Output = Result<Plan, Refusal>> + Send>>
+ Send
+ 'static {
    let (done, gate) = (Arc::clone(done), Arc::clone(gate));
    move |_| {
        Box::pin(async move {
            if !prepared {
                gate.notified().await;
                return Ok(counting(done));
            }
            Ok(Plan::new(
                Action::new(&RUN, "job", "slow"),
                move |_| async move {
                    gate.notified().await;
                    done.fetch_add(1, Ordering::SeqCst);
                    Ok(Done::json(StatusCode::CREATED, &json!({"late": true}), ""))
                },
            ))
        })
    }
}

#[tokio::test]
async fn what_was_answered_503_is_not_done_later() {
    let place = Place::new();
    let gate = Arc::new(Notify::new());
    let answer = place
        .edits
        .change(
            soon(post("alice")),
            VERBS,
            waiting(&place.done, &gate, false),
        )
        .await;
    assert_eq!(
        (answer.status(), &body(&answer)["type"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("/problems/busy"))
    );
    gate.notify_one();
    // Who comes after it finds it gone: the one that takes the permit is this one.
    let next = place
        .edits
        .change(post("alice"), VERBS, waiting(&place.done, &gate, false));
    assert_eq!(next.await.status(), 201);
    assert_eq!(place.done(), 1);
    let begun = place
        .records()
        .iter()
        .filter(|record| record["event"] == "begun")
        .count();
    assert_eq!(begun, 1);
}

#[tokio::test]
async fn who_hangs_up_before_it_is_begun_has_changed_nothing_and_after_it_changes_nothing() {
    let place = Place::new();
    let gate = Arc::new(Notify::new());
    for (prepared, records) in [(false, 0), (true, 2)] {
        let change =
            place
                .edits
                .change(post("alice"), VERBS, waiting(&place.done, &gate, prepared));
        let left = tokio::time::timeout(Duration::from_millis(200), change).await;
        assert!(left.is_err());
        gate.notify_one();
        assert_eq!(place.recorded(records).await.len(), records);
        if !prepared {
            // Nobody was left to take it.
            gate.notified().await;
        }
    }
    assert_eq!(place.done(), 1);
}

#[tokio::test]
async fn an_outcome_that_is_not_known_yet_can_be_asked_by_its_caller() {
    let place = Place::new();
    let gate = Arc::new(Notify::new());
    let answer = place
        .edits
        .change(
            soon(post("alice")),
            VERBS,
            waiting(&place.done, &gate, true),
        )
        .await;
    assert_eq!(answer.status(), 202);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let id = location.rsplit('/').next().unwrap().to_owned();
    let told = |user: &'static str| {
        let (edits, id) = (&place.edits, &id);
        async move { edits.outcome(id, &post(user)).await }
    };
    assert_eq!(told("alice").await.unwrap().state, ChangeState::Running);
    gate.notify_one();
    let ended = testkit::eventually(Duration::from_secs(10), || async {
        let ended = told("alice")
            .await
            .map_err(|_| anyhow::anyhow!("refused"))?;
        anyhow::ensure!(ended.state != ChangeState::Running, "{ended:?}");
        Ok(ended)
    });
    let ended = ended.await.unwrap();
    assert_eq!(place.records().len(), 2);
    assert_eq!(
        (ended.state, ended.status, ended.answer),
        (ChangeState::Done, Some(201), Some(json!({"late": true})))
    );
    assert_eq!(told("carol").await.unwrap().state, ChangeState::Done);
    assert_eq!(told("bob").await.unwrap_err().status(), 404);
    assert_eq!(told("mallory").await.unwrap_err().status(), 401);
}

#[tokio::test]
async fn rights_are_those_of_the_moment_it_is_done() {
    let place = Place::new();
    let gate = Arc::new(Notify::new());
    let change = place
        .edits
        .change(post("alice"), VERBS, waiting(&place.done, &gate, false));
    let lose = async {
        tokio::task::yield_now().await;
        *place.policy.lock().unwrap() = Some(access("web_users: {carol: admin}"));
        gate.notify_one();
    };
    let (answer, ()) = tokio::join!(change, lose);
    assert_eq!((answer.status().as_u16(), place.done()), (401, 0));
    *place.policy.lock().unwrap() = None;
    assert_eq!(place.run(post("carol")).await.status(), 403);
}
