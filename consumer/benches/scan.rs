//! Compares the cost of a scan with that of a full decode, on real objects, original and pretty-printed:
//! `CATALOG_RECORDINGS=... cargo bench --bench scan`. The methods alternate, and the table shows the median CPU time of the
//! rounds, so other programs on the machine have little influence.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;
use std::{env, fs, io};

use catalog_consumer::probe;
use flate2::read::GzDecoder;
use serde_json::Value;

const ROUNDS: usize = 7;

struct Object {
    text: String,
    domain: String,
    id: String,
}

type Way = (&'static str, fn(&Object) -> bool);

const WAYS: [Way; 3] = [
    ("UTF-8 check", |object| std::str::from_utf8(object.text.as_bytes()).is_ok()),
    ("scan", |Object { text, domain, id }| {
        std::str::from_utf8(text.as_bytes()).is_ok_and(|text| probe::scan(text, domain, id).is_some())
    }),
    ("full decode", |Object { text, domain, id }| {
        std::str::from_utf8(text.as_bytes()).is_ok_and(|text| probe::decode(text, domain, id).is_some())
    }),
];

fn main() -> io::Result<()> {
    let Some(folder) = env::var_os("CATALOG_RECORDINGS") else {
        report("skipped: CATALOG_RECORDINGS names no folder of recordings");
        return Ok(());
    };
    let compact = read(&Path::new(&folder).join("us-2020.ndjson.gz"))?;
    let pretty = compact.iter().map(pretty).collect::<io::Result<Vec<_>>>()?;
    for (form, objects) in [("compact", &compact), ("pretty", &pretty)] {
        let mut times = WAYS.map(|_| Vec::with_capacity(ROUNDS));
        for _ in 0..ROUNDS {
            for ((_, way), times) in WAYS.iter().zip(&mut times) {
                times.push(time(objects, *way)?);
            }
        }
        let bytes: usize = objects.iter().map(|object| object.text.len()).sum();
        for ((name, _), mut times) in WAYS.iter().zip(times) {
            times.sort_unstable();
            let seconds = times[ROUNDS / 2].as_secs_f64();
            let (each, rate) = (seconds * 1e6 / count(objects.len()), count(bytes) / seconds / 1e6);
            report(&format!("{form:8} {name:12} {each:6.2} us {rate:6.0} MB/s"));
        }
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<Vec<Object>> {
    BufReader::new(GzDecoder::new(File::open(path)?)).lines().map(|line| object(line?)).collect()
}

fn object(text: String) -> io::Result<Object> {
    let value: Value = serde_json::from_str(&text)?;
    let field = |path| value.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Object { domain: field("/metadata/domain"), id: field("/resource/id"), text })
}

fn pretty(Object { text, domain, id }: &Object) -> io::Result<Object> {
    let value: Value = serde_json::from_str(text)?;
    Ok(Object { text: serde_json::to_string_pretty(&value)?, domain: domain.clone(), id: id.clone() })
}

fn time(objects: &[Object], way: fn(&Object) -> bool) -> io::Result<Duration> {
    let started = cpu_time()?;
    let read = objects.iter().filter(|object| way(black_box(object))).count();
    let time = cpu_time()? - started;
    if read < objects.len() {
        report(&format!("{} objects need another way", objects.len() - read));
    }
    Ok(time)
}

/// The CPU time of this thread, as Linux measures it.
fn cpu_time() -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().and_then(|field| field.parse().ok());
    nanoseconds.map(Duration::from_nanos).ok_or_else(|| io::Error::other(text))
}

#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
const fn count(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::print_stdout, reason = "a bench reports on standard output")]
fn report(line: &str) {
    println!("{line}");
}
