#![allow(warnings, clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
use processors::spam::*;
use std::collections::*;
use std::fs;
use std::io::Write;
use std::path::*;
use std::time::Instant;
fn collect(p: &Path, out: &mut Vec<PathBuf>) {
    if p.is_dir() {
        for e in fs::read_dir(p).unwrap() {
            collect(&e.unwrap().path(), out)
        }
    } else {
        out.push(p.to_owned())
    }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    match a[1].as_str() {
        "dump" => {
            let mut o = std::io::BufWriter::new(fs::File::create(&a[2]).unwrap());
            for root in &a[3..] {
                let mut f = vec![];
                collect(Path::new(root), &mut f);
                f.sort();
                for p in f {
                    let m = read(fs::read(&p).unwrap());
                    let t = tokens_of(&m);
                    let mut f = m.clone();
                    let loc = [
                        "jmason",
                        "taint.org",
                        "slashnull",
                        "netnoteinc",
                        "labs.",
                        "localhost",
                        "zzzz",
                        "yyyy",
                        "webnote",
                        "fetchmail",
                        "tuatha",
                        "linux.ie",
                        "xent.",
                        "sourceforge",
                        "freshrpms",
                        "einstein.ssz",
                        "minder",
                        "redhat.com",
                    ];
                    f.headers.retain(|h| {
                        !(h.name.eq_ignore_ascii_case("received")
                            && loc.iter().any(|l| h.value.to_lowercase().contains(l)))
                    });
                    for h in &mut f.headers {
                        if ["to", "cc", "bcc", "apparently-to", "return-path", "reply-to", "sender", "x-sender"]
                            .iter()
                            .any(|n| h.name.eq_ignore_ascii_case(n))
                        {
                            h.value = String::new();
                        }
                    }
                    let t2 = tokens_of(&f);
                    writeln!(o, "{}", serde_json::json!({"path": p.to_string_lossy(), "d": m.date, "t": t, "f": t2}))
                        .unwrap();
                }
            }
        }
        "time" => {
            let c = Counts::from_file(&fs::read(&a[2]).unwrap()).unwrap();
            let m = Model::new(&c.to_event("default", 0, 0)).unwrap();
            let mut f = vec![];
            for r in &a[3..] {
                collect(Path::new(r), &mut f);
            }
            f.sort();
            let ms: Vec<_> = f.iter().map(|p| read(fs::read(p).unwrap())).collect();
            let mut ts: Vec<f64> = ms
                .iter()
                .map(|p| {
                    let mut b = f64::MAX;
                    for _ in 0..3 {
                        let t = Instant::now();
                        std::hint::black_box(judge(p, &m));
                        b = b.min(t.elapsed().as_secs_f64());
                    }
                    b * 1e6
                })
                .collect();
            let tt: Vec<f64> = ms
                .iter()
                .map(|p| {
                    let mut b = f64::MAX;
                    for _ in 0..3 {
                        let t = Instant::now();
                        std::hint::black_box(hashes_of(p));
                        b = b.min(t.elapsed().as_secs_f64());
                    }
                    b * 1e6
                })
                .collect();
            let mean = ts.iter().sum::<f64>() / ts.len() as f64;
            ts.sort_by(f64::total_cmp);
            println!(
                "{} mails: mean {:.0} us, median {:.0}, p99 {:.0}, max {:.0}; tokens alone mean {:.0}",
                ts.len(),
                mean,
                ts[ts.len() / 2],
                ts[ts.len() * 99 / 100],
                ts[ts.len() - 1],
                tt.iter().sum::<f64>() / tt.len() as f64
            );
        }
        "score" => {
            let c = Counts::from_file(&fs::read(&a[2]).unwrap()).unwrap();
            let m = Model::new(&c.to_event("default", 0, 0)).unwrap();
            for r in &a[3..] {
                let mut f = vec![];
                collect(Path::new(r), &mut f);
                f.sort();
                for p in f {
                    let v = judge(&read(fs::read(&p).unwrap()), &m);
                    println!("{:.4} {} {}", v.score, v.known, p.display());
                }
            }
        }
        _ => {}
    }
}
