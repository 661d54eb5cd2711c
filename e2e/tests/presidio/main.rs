//! How well does each detector find what it is for, beside Presidio on the same corpus?
//!
//! `corpus.py` makes sentences with values and with what only looks like them, `presidio.py` runs Presidio over them, and this runs the search of the
//! sidecar over them and counts. README has the table that it makes and prints, and the check fails where that table is not what it made, or where a
//! detector does worse than it did. `POSTERN_BLESS=1 cargo test -p postern-e2e --test presidio` writes the table into README; every mistake of ours is
//! in `target/presidio/mistakes.txt`.

mod score;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use postern_crds::{
    egress_policy::{Detector, MaskStyle, Region},
    policy::{MaskItem, Masked, Masks},
};
use postern_e2e::{Cache, image::parts};
use postern_sidecar::bench::Masking;

use self::score::{Sample, Score, Span, of_kind};

/// The parts of the corpus.
const PARTS: [&str; 3] = ["english", "others", "templates"];
/// The parts that we wrote.
const OWN: [&str; 2] = ["english", "others"];

/// The least precision and recall of a detector in each part that we wrote, in hundredths: what was measured.
fn least(detector: Detector) -> (u32, u32) {
    match detector {
        // An order may have the digits of a card's or a phone's number, and a version the form of an address.
        Detector::CreditCard => (95, 100),
        Detector::Phone => (80, 100),
        Detector::IpAddress => (80, 100),
        // It does not look ahead: `am 12.03.1980 geboren`.
        Detector::DateOfBirth => (100, 75),
        Detector::Email
        | Detector::Iban
        | Detector::UsSsn
        | Detector::AwsAccessKey
        | Detector::GithubToken
        | Detector::Jwt
        | Detector::PrivateKey
        | Detector::ApiKey
        | Detector::Passport => (100, 100),
    }
}

/// Whether Presidio has something for a detector. Its dates are all, of birth or not, and its passports are those of the US.
fn has_presidio(detector: Detector) -> bool {
    match detector {
        Detector::Email
        | Detector::Phone
        | Detector::CreditCard
        | Detector::Iban
        | Detector::UsSsn
        | Detector::IpAddress
        | Detector::DateOfBirth
        | Detector::Passport => true,
        Detector::AwsAccessKey
        | Detector::GithubToken
        | Detector::Jwt
        | Detector::PrivateKey
        | Detector::ApiKey => false,
    }
}

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The corpus, with what Presidio found in it.
fn corpus() -> Result<Vec<Sample>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/presidio");
    let why = "the same corpus for two engines";
    let requirements = folder.join("requirements.txt");
    let packages = parts::python(&Cache::open()?, "presidio", why, &requirements)?;
    let out = Command::new("python3")
        .arg(folder.join("presidio.py"))
        .env("PYTHONPATH", packages.path)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .context("starting Presidio")?;
    ensure!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let lines = std::str::from_utf8(&out.stdout)?.lines();
    lines
        .map(|line| serde_json::from_str(line).with_context(|| format!("reading {line}")))
        .collect()
}

/// The search of a policy that names all detectors, and Presidio's regions.
fn masking() -> Masking {
    let item = |detector| MaskItem {
        what: Masked::Detector(detector),
        style: MaskStyle::Label,
        enforce: true,
        restore: false,
    };
    Masking::new(&Masks {
        items: Detector::ALL.map(item).into(),
        phone_regions: BTreeSet::from(Region::ALL),
        fields: Vec::new(),
    })
}

/// What Postern finds in a text.
fn found(masking: &Masking, text: &str) -> Vec<Span> {
    let character = |byte: u64| {
        let before = usize::try_from(byte).ok().and_then(|byte| text.get(..byte));
        before.map_or(0, |before| before.chars().count())
    };
    let found = masking.found(text, text.len().max(1));
    found
        .into_iter()
        .map(|(kind, start, end)| Span {
            kind: kind.to_owned(),
            start: character(start),
            end: character(end),
        })
        .collect()
}

/// A line of the table: a detector's scores and Presidio's, part by part.
fn line(detector: Detector, scores: &[(Score, Score)]) -> String {
    let cells = scores.iter().flat_map(|(ours, theirs)| {
        let shown = |score: &Score| match (ours.values(), score.values()) {
            (0, _) | (_, 0) => "–".to_owned(),
            _ => score.to_string(),
        };
        [shown(ours), shown(theirs)]
    });
    let cells: Vec<String> = cells.collect();
    format!("| {} | {} |\n", detector.name(), cells.join(" | "))
}

/// README with `table` where its own stands.
fn with_table(readme: &str, table: &str) -> Result<String> {
    let (before, rest) = readme
        .split_once("<!-- presidio -->\n")
        .context("the begin of the table in README")?;
    let (_, after) = rest
        .split_once("<!-- /presidio -->\n")
        .context("the end of the table in README")?;
    Ok(format!(
        "{before}<!-- presidio -->\n{table}<!-- /presidio -->\n{after}"
    ))
}

#[test]
fn detectors_find_what_they_are_for_and_readme_says_how_well() -> Result<()> {
    let corpus = corpus()?;
    let masking = masking();
    let ours: Vec<Vec<Span>> = corpus
        .iter()
        .map(|sample| found(&masking, &sample.text))
        .collect();
    let mut table = String::from(
        "| Precision / recall in % | English: Postern | Presidio | Other languages: Postern | Presidio | Presidio's templates: Postern | Presidio |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let mut mistakes = String::new();
    let mut worse = Vec::new();
    for detector in Detector::ALL {
        let kind = detector.name();
        let mut scores = Vec::new();
        for part in PARTS {
            let (mut own, mut theirs) = (Score::default(), Score::default());
            let samples = corpus.iter().zip(&ours);
            for (sample, found) in samples.filter(|(sample, _)| sample.part == part) {
                let values = of_kind(&sample.values, kind);
                if let Some(mistake) = own.count(&values, &of_kind(found, kind)) {
                    writeln!(mistakes, "{part} {kind} {mistake:?} {:?}", sample.text)?;
                }
                if has_presidio(detector) {
                    theirs.count(&values, &of_kind(&sample.found, kind));
                }
            }
            let (precision, recall) = least(detector);
            if OWN.contains(&part) && !own.reaches(precision, recall) {
                worse.push(format!(
                    "{part} {kind}: {own}, not {precision} / {recall} at least"
                ));
            }
            scores.push((own, theirs));
        }
        table.push_str(&line(detector, &scores));
    }
    println!("{table}");
    let target = root().join("target/presidio");
    fs::create_dir_all(&target)?;
    fs::write(target.join("mistakes.txt"), mistakes)?;
    ensure!(worse.is_empty(), "{}", worse.join("\n"));

    let path = root().join("README.md");
    let readme = fs::read_to_string(&path)?;
    let measured = with_table(&readme, &table)?;
    if std::env::var_os("POSTERN_BLESS").is_some() {
        fs::write(path, measured)?;
    } else {
        ensure!(
            readme == measured,
            "README has another table: POSTERN_BLESS=1 cargo test -p postern-e2e --test presidio writes it"
        );
    }
    Ok(())
}
