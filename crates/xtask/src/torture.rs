//! `cargo xtask torture`: simulated upstreams that go wrong, gateways that are killed again and again,
//! callers that never give up, and a check of every sale against what was told. Everything runs in
//! processes of its own; nothing is asked but ledgers, the callers' log and the public API.

mod call;
mod check;
mod client;
mod clock;
mod continuing;
mod controls;
mod database;
mod dice;
mod faults;
mod fleet;
mod hanging;
mod journal;
mod kill_plan;
mod nemesis;
mod of_test;
mod operator;
mod options;
mod person;
mod report;
mod restoring;
mod site;
mod subject;
mod upstream;
mod workload;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum as _;
use purveyor_sdk::v1::Operation;
use purveyor_sdk::v1::operation::State;
use tokio::sync::watch;
use tokio::task::JoinSet;
use xtask::artifacts::{self, Artifacts, Profile};
use xtask::configuration::Configuration;
use xtask::{faketime, workspace};

use self::check::{Evidence, Score, Verdict};
use self::client::Market;
use self::controls::Control;
use self::database::Database;
use self::dice::Dice;
use self::faults::{EFFECT_LAG_MS, Mix, TIMING};
use self::fleet::Doors;
use self::hanging::Ways;
use self::journal::Journal;
use self::kill_plan::{Rules, Temper};
use self::nemesis::{Fate, Toll};
pub(crate) use self::of_test::test;
use self::operator::{Operator, Operators, Words};
pub(crate) use self::options::Options;
use self::options::{Hazard, Store};
use self::person::{Deeds, Persons};
use self::restoring::Restoring;
use self::site::{LEASE, Site};
use self::subject::Subject;
use self::upstream::Upstream;

/// What only the torture run's gateway has in it.
const MARKS: [&str; 2] = ["purveyor-failpoints-are-compiled-in", "PURVEYOR_FAILPOINTS"];

/// How often it is said how far it is.
const PROGRESS: Duration = Duration::from_secs(5);
/// When no order has ended for so long, none will: many settle windows.
const STUCK: Duration = Duration::from_secs(180);
/// A control may leave behind what others wait for in vain.
const STUCK_CONTROL: Duration = Duration::from_secs(15);
/// What is open when the last client has its answer has to end within this.
const CLOSING: Duration = Duration::from_secs(90);

/// What early operators were asked has to end within this before that.
const EARLY: Duration = Duration::from_secs(5);

/// Runs it.
///
/// # Errors
/// When a promise was broken, or a control kept them all.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.of_test {
        return test().map(|summaries| println!("{}", summaries.join("\n")));
    }
    println!("building the torture's gateway, the simulators and the plugins");
    let artifacts = artifacts::build_as(options.profile.into(), true)?;
    run_built(options, &artifacts).map(drop)
}

/// Looks for what the torture run alone may have in a gateway without the feature, and in the torture
/// run's own, where it has to be found.
///
/// # Errors
/// When it is found, or the search finds nothing anywhere.
pub(crate) fn search_shipped() -> Result<String> {
    // What is compiled into it is decided by the feature, whatever the profile.
    let torture = artifacts::build_as(Profile::Dev, true)?;
    let without = artifacts::build(Profile::Dev)?;
    let marks = |artifacts: &Artifacts| -> Result<Vec<&str>> {
        let program = artifacts.program("purveyor")?;
        let bytes = fs::read(program).with_context(|| format!("cannot read {program:?}"))?;
        let found = |mark: &&str| bytes.windows(mark.len()).any(|part| part == mark.as_bytes());
        Ok(MARKS.into_iter().filter(found).collect())
    };
    let (there, here) = (marks(&torture)?, marks(&without)?);
    ensure!(there.len() == MARKS.len(), "the search finds {there:?} alone where all have to be");
    ensure!(here.is_empty(), "a gateway without the feature has {here:?}");
    Ok("no failpoints in a gateway without the feature".to_owned())
}

/// What came of a run.
struct Ran {
    score: Score,
    toll: Toll,
    deeds: Arc<Deeds>,
    words: Words,
}

/// What is judged of a run.
struct Played {
    operations: Vec<Operation>,
    deeds: Arc<Deeds>,
    words: Words,
}

fn run_built(options: &Options, artifacts: &Artifacts) -> Result<Ran> {
    ensure!(options.orders() > 0 && options.accounts() > 0, "nothing to do");
    let folder = folder(options)?;
    let artifacts = apart(artifacts, &subject::named(options.provider())?, &folder)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let begin = Instant::now();
    let ran = runtime.block_on(Box::pin(torture(options, &artifacts, &folder)))?;
    let (verdict, toll, Played { deeds, words, .. }) = ran;
    report::print(&options.told(), &verdict, (&toll, &deeds, &words), begin.elapsed())?;
    judge(options, &verdict, &folder)?;
    Ok(Ran { score: verdict.total(), toll, deeds, words })
}

/// A run that is as it should be leaves nothing behind.
fn judge(options: &Options, verdict: &Verdict, folder: &Path) -> Result<()> {
    let wrong = match options.control {
        Some(control) => control
            .missing(&verdict.total())
            .map(|missing| format!("the control {} {missing}", control.word())),
        None => (!verdict.holds()).then(|| "promises were broken".to_owned()),
    };
    if let Some(wrong) = wrong {
        bail!("{wrong}; seed {}, evidence in {}", options.seed, folder.display());
    }
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {folder:?}"))
}

/// The program and the plugins in the run's own folder, so that a build meanwhile changes nothing.
fn apart(artifacts: &Artifacts, subjects: &[Box<dyn Subject>], folder: &Path) -> Result<Artifacts> {
    let program = artifacts.program("purveyor")?;
    fs::hard_link(program, folder.join("purveyor")).context("cannot link the gateway")?;
    let plugins: Vec<String> =
        subjects.iter().map(|subject| format!("libpurveyor_{}.so", subject.name())).collect();
    let plugins: Vec<&str> = plugins.iter().map(String::as_str).collect();
    artifacts.only(&plugins, &folder.join("plugins"))
}

/// A fresh folder for logs, ledgers and journals.
fn folder(options: &Options) -> Result<PathBuf> {
    let (seed, provider) = (options.seed, options.provider());
    let control = options.workload().map_or("run", Control::word);
    let store = options.store().word();
    let name = format!("{control}-{provider}-{store}-{seed}-{}", std::process::id());
    let folder = workspace::target()?.join("torture").join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {folder:?}"))?;
    Ok(folder)
}

async fn torture(
    options: &Options,
    artifacts: &Artifacts,
    folder: &Path,
) -> Result<(Verdict, Toll, Played)> {
    let subjects = subject::named(options.provider())?;
    let sites = if options.has(Hazard::TwoUpstreams) { 2 } else { 1 };
    let orders = workload::orders(options, &subjects, sites);
    let mut upstreams = upstreams(options, artifacts, folder, &subjects, sites).await?;
    let ways = ways(options, &mut upstreams).await?;
    let clock_steps = options.has(Hazard::ClockSteps);
    let faketime = if clock_steps { Some(faketime::install()?) } else { None };
    let database = match options.store() {
        Store::Sqlite => None,
        Store::Postgres => Some(Database::start(faketime.as_deref()).await?),
    };
    let url = database.as_ref().map(Database::url);
    let site = Site { options, artifacts, folder, subjects: &subjects, upstreams: &upstreams };
    let restarts = database.is_some() && options.has(Hazard::Restarts);
    let count = options.gateways()? + usize::from(restarts);
    let gateways = (0..count).map(|index| site.gateway(index, url.as_deref()));
    let gateways = gateways.collect::<Result<Vec<_>>>()?;
    let doors = Arc::new(Doors::new(gateways.len()));
    let done = Arc::new(AtomicUsize::new(0));
    let urls = database.as_ref().map(Database::urls_beside);
    let files = stores(artifacts, folder, urls)?;
    let restoring = Restoring::new(folder, files, (orders.len(), Arc::clone(&done)));
    let restoring = options.has(Hazard::RestoredBackup).then(|| Arc::new(restoring));
    let fate = Arc::new(Fate {
        restoring: restoring.clone(),
        ..fate(options, database.is_some(), &doors, faketime)
    });
    let journal = folder.join("clients.jsonl");
    let market = Arc::new(Market {
        seed: options.seed,
        subjects,
        meetings: client::meetings(&orders),
        decided: orders.iter().map(|_| AtomicBool::new(false)).collect(),
        finished: watch::Sender::new(vec![false; orders.len()]),
        endings: Mutex::default(),
        orders,
        doors: Arc::clone(&doors),
        journal: Journal::create(&journal)?,
        next: AtomicUsize::new(0),
        done,
        restoring,
        unruly: options.workload().is_none(),
    });
    let threads = nemesis::unleash(gateways, &fate);
    let database = database.map(|database| database.unleash(&fate));
    let played = play(options, &market, &fate, &upstreams, ways).await;
    fate.calm.store(true, Ordering::SeqCst);
    fate.over.store(true, Ordering::SeqCst);
    for thread in threads {
        ensure!(thread.join().is_ok(), "a nemesis broke");
    }
    let database = database.map(JoinHandle::join);
    ensure!(database.is_none_or(|ended| ended.is_ok()), "the database's nemesis broke");
    // A gateway may have ended by itself after the last call.
    if let Some(why) = doors.broken() {
        bail!("{why}");
    }
    let played = played?;
    let mut verdict = judged(&market, &upstreams, &journal, &played, options)?;
    // A control is there to break promises, and what is wrong with it may keep callers waiting.
    if options.control.is_none() {
        verdict.require_answers(market.orders.len() - market.done.load(Ordering::SeqCst));
        verdict.require_sales(&market.subjects);
    }
    // The threads that shared it have ended.
    let fate = Arc::into_inner(fate).context("somebody still decides about lives")?;
    Ok((verdict, fate.toll, played))
}

/// The ways to one provider, which can hang.
async fn ways(options: &Options, upstreams: &mut [Vec<Upstream>]) -> Result<Ways> {
    let mut ways = Ways::default();
    if options.has(Hazard::HangingProvider) {
        let hanging = usize::try_from(options.seed % upstreams.len() as u64)?;
        for upstream in &mut upstreams[hanging] {
            upstream.url = ways.lead(&upstream.url).await?;
        }
    }
    Ok(ways)
}

/// The configurations that lead to the store and to where its backup is restored: of the gateway whose own it
/// is, or of an operator beside the server.
fn stores(
    artifacts: &Artifacts,
    folder: &Path,
    urls: Option<(String, String)>,
) -> Result<(PathBuf, PathBuf)> {
    let Some((store, target)) = urls else {
        let own = folder.join("gateway-0").join("purveyor.toml");
        return Ok((own.clone(), own));
    };
    let write = |name, url: &str| Configuration::new(artifacts).store(url).write_as(name, folder);
    Ok((write("store.toml", &store)?, write("target.toml", &target)?))
}

/// What is done to gateways.
fn fate(options: &Options, shared: bool, doors: &Arc<Doors>, faketime: Option<PathBuf>) -> Fate {
    let workload = options.workload();
    let errs = options.has(Hazard::PluginErrors);
    Fate {
        seed: options.seed,
        rules: Rules {
            temper: workload.map_or(Temper::Cruel, Control::temper),
            control: options.control,
            lease: shared.then_some(LEASE),
            stops: options.has(Hazard::Stops),
            clock_steps: faketime.is_some(),
            rolling: options.has(Hazard::RollingConfiguration),
            plugin_errors: errs.then(|| workload.map_or(0, Control::plugin_errors)),
        },
        doors: Arc::clone(doors),
        faketime,
        restoring: None,
        toll: Toll::default(),
        calm: AtomicBool::new(false),
        over: AtomicBool::new(false),
    }
}

/// Everybody buys, until it is quiet again; all operations as the public API tells them then.
async fn play(
    options: &Options,
    market: &Arc<Market>,
    fate: &Fate,
    upstreams: &[Vec<Upstream>],
    ways: Ways,
) -> Result<Played> {
    let desks = || upstreams.iter().map(|all| all.iter().map(|it| it.desk().clone()).collect());
    let persons = Persons::begin(options, desks().collect(), market.restoring.as_ref())?;
    let hanging = ways.hang(options.seed);
    let operators = Operators::of(options);
    let operator = operators.map(|it| Operator::begin(market, desks().collect(), it));
    let traded = trade(options, market, fate).await;
    let deeds = persons.end().await?;
    fate.toll.hangs.fetch_add(hanging.end().await?, Ordering::SeqCst);
    traded?;
    if operators == Some(Operators::Early) {
        // What they say counts in the gateways that may make the mistake, or nowhere.
        close(market, EARLY, operators.zip(operator.as_ref())).await?;
    }
    fate.calm.store(true, Ordering::SeqCst);
    let closing = options.control.map_or(CLOSING, |_| Duration::ZERO);
    let operations = close(market, closing, operators.zip(operator.as_ref())).await?;
    let words = match operator {
        Some(operator) => operator.end().await?,
        None => Words::default(),
    };
    Ok(Played { operations, deeds, words })
}

fn judged(
    market: &Market,
    upstreams: &[Vec<Upstream>],
    journal: &Path,
    played: &Played,
    options: &Options,
) -> Result<Verdict> {
    market.journal.flush()?;
    let kept_from =
        [(Hazard::UnknownWords, "STATE_CONFLICT"), (Hazard::NotFound, "ORDER_NOT_FOUND")];
    let kept_from = kept_from.into_iter().filter(|(hazard, _)| options.has(*hazard));
    let kept_from: Vec<&str> = kept_from.map(|(_, reason)| reason).collect();
    let ledgers = upstreams.iter().map(|upstreams| {
        let ledgers = upstreams.iter().map(|it| it.desk().ledger()).collect::<Result<Vec<_>>>();
        Ok(ledgers?.concat())
    });
    let ledgers = ledgers.collect::<Result<Vec<_>>>()?;
    Ok(check::check(&Evidence {
        subjects: &market.subjects,
        orders: &market.orders,
        ledgers: &ledgers,
        told: &journal::read(journal)?,
        operations: &played.operations,
        touched: &played.deeds.touched(),
        disguised: &played.deeds.disguised(),
        shared: options.has(Hazard::Person),
        words: &played.words,
        speak_everywhere: Operators::of(options).is_some_and(Operators::speak_everywhere),
        kept_from: &kept_from,
        lost: market.restoring.as_ref().and_then(|it| it.phase().lost()),
        effect_lag_ms: if options.has(Hazard::EffectLag) { EFFECT_LAG_MS } else { 0 },
    }))
}

/// The simulators of every provider, going wrong already.
async fn upstreams(
    options: &Options,
    artifacts: &Artifacts,
    folder: &Path,
    subjects: &[Box<dyn Subject>],
    sites: usize,
) -> Result<Vec<Vec<Upstream>>> {
    let mut all = Vec::new();
    for subject in subjects {
        let simulators = subject.simulators(options.accounts());
        let sites = if subject.tells_identity() { sites } else { 1 };
        let mut upstreams = Vec::new();
        for (site, first) in (0..sites).flat_map(|site| (0..simulators).map(move |it| (site, it))) {
            let accounts: Vec<usize> = (first..options.accounts()).step_by(simulators).collect();
            let orders = workload::per_account(options, subjects.len());
            let of = (accounts.as_slice(), site);
            let upstream = Upstream::start(subject.as_ref(), artifacts, folder, of, orders).await?;
            let seed = options.seed + first as u64 + ((site as u64) << 32);
            let mix = options.workload().map_or(Mix::Everything, Control::mix);
            upstream.go_wrong(subject.as_ref(), mix, seed).await?;
            for fault in mix.armed(subject.sells(), subject.lists(), orders) {
                upstream.obey(("/faults", fault)).await?;
            }
            let modes = hazards(options).filter_map(|hazard| subject.mode(hazard));
            for mode in modes {
                upstream.obey(("/mode", mode)).await?;
            }
            let reuse = options.has(Hazard::ReturningIds).then(|| subject.reuse_ids()).flatten();
            let hidden = options.workload().and_then(Control::hidden);
            let hide = hidden.and_then(|hidden| subject.hide(hidden));
            for command in reuse.into_iter().chain(hide) {
                upstream.obey(command).await?;
            }
            upstreams.push(upstream);
        }
        all.push(upstreams);
    }
    Ok(all)
}

/// The hazards that happen all the time. Names are cut for good where a control's workload has that alone,
/// and by a person now and then elsewhere.
fn hazards(options: &Options) -> impl Iterator<Item = Hazard> {
    let always = |hazard: &Hazard| *hazard != Hazard::CutNames || options.workload().is_some();
    let had = Hazard::value_variants().iter().copied().filter(|hazard| options.has(*hazard));
    had.filter(always)
}

/// The clients, until each has what it wants or nothing moves any more.
async fn trade(options: &Options, market: &Arc<Market>, fate: &Fate) -> Result<()> {
    let mut clients = JoinSet::new();
    for _ in 0..options.clients().min(options.orders()) {
        clients.spawn(client::buy(Arc::clone(market)));
    }
    let begin = Instant::now();
    let (mut last, mut moved) = (0, Instant::now());
    let mut progress = tokio::time::interval(PROGRESS);
    loop {
        tokio::select! {
            ended = clients.join_next() => match ended {
                None => return Ok(()),
                Some(ended) => ended.context("a client broke")??,
            },
            _ = progress.tick() => {
                let done = market.done.load(Ordering::SeqCst);
                let crashes = fate.toll.crashes.load(Ordering::SeqCst);
                let seconds = begin.elapsed().as_secs();
                let what = options.told();
                println!("{seconds:>5} s  {done:>6} orders ended, {crashes:>5} crashes  ({what})");
                if done > last {
                    (last, moved) = (done, Instant::now());
                }
                if let Some(why) = market.doors.broken() {
                    bail!("{why}");
                }
                let stuck = options.control.map_or(STUCK, |_| STUCK_CONTROL);
                if moved.elapsed() > stuck {
                    println!("nothing has ended for {stuck:?}; checking what there is  ({what})");
                    return Ok(());
                }
            }
        }
    }
}

/// With everybody calm again, what is open ends; and what was held up or late has happened by then. What an
/// operator was wrong about is looked for once more.
async fn close(
    market: &Market,
    patience: Duration,
    operator: Option<(Operators, &Operator)>,
) -> Result<Vec<Operation>> {
    let mut dice = Dice::new(market.seed, 3);
    let begin = Instant::now();
    tokio::time::sleep(TIMING.past_settle()).await;
    loop {
        let channel = market.doors.any(&mut dice).await?;
        let wrong = operator.map(|(_, operator)| operator.wrong()).unwrap_or_default();
        let listed = call::operations(&channel, wrong.is_empty()).await;
        let waits = |operation: &Operation| {
            let asks = market.subject_of(operation).is_some_and(|it| it.asks_a_person());
            operation.state() == State::NeedsOperator
                && operator.is_some_and(|(operators, _)| operators.speak_everywhere() || !asks)
        };
        let is_sought = |operation: &Operation| {
            let name = operation.name.trim_start_matches("operations/");
            operation.done && operation.settle_time.is_some() && wrong.contains(name)
        };
        let working = |operation: &Operation| {
            !call::rests(operation.state()) || waits(operation) || is_sought(operation)
        };
        match listed {
            Ok(listed)
                if !listed.iter().any(working)
                    || begin.elapsed() > TIMING.past_settle() + patience =>
            {
                return call::operations(&channel, false).await;
            }
            Err(error) if begin.elapsed() > TIMING.past_settle() + patience => return Err(error),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
