//! Accuracy against the size of the ring that a model computes in: a panel a condition, a line a network.

use super::axes::{Entry, Look};
use super::canvas::Stroke;
use super::chart::{Axis, Chart, ChartPanel, Legend, Mark, Series, WIDE, whole};
use super::{Figure, make};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::glossary::INTERVAL;
use crate::metrics::BranchPolicy;
use crate::sections::{Place, Section, Show};
use crate::tables::deployed::{condition_in_words, of_twin, twin_of};
use rlnet_suites::{Condition, FixedPoint};

/// Conditions that are drawn, a panel each.
const MOST: usize = 6;

/// The section.
pub(crate) const SECTION: Section = Section {
    id: "rings",
    place: Place::Grid,
    show: Show::Figure(figure),
    terms: &[INTERVAL],
};

/// A model of the report in a ring.
struct Deployed {
    model: usize,
    twin: usize,
    bits: u32,
    /// Its arithmetic but for the size of the ring.
    family: String,
}

fn deployed(analysis: &Analysis) -> Vec<Deployed> {
    let models = analysis.runs.models.iter().enumerate();
    let found = models.filter_map(|(place, model)| {
        let made = model.record.as_ref()?.deployed.as_ref()?;
        let fixed: FixedPoint = made.arithmetic.parse().ok()?;
        Some(Deployed {
            model: place,
            twin: twin_of(analysis, made)?,
            bits: fixed.bits,
            family: FixedPoint { bits: 64, ..fixed }.to_string(),
        })
    });
    found.collect()
}

/// The figure, when some network was evaluated in two rings or more of one arithmetic.
fn figure(analysis: &Analysis) -> Result<Option<Figure>, ReportError> {
    let all = deployed(analysis);
    let sizes = |family: &str| {
        let mut bits: Vec<u32> = all
            .iter()
            .filter(|one| one.family == family)
            .map(|one| one.bits)
            .collect();
        bits.sort_unstable();
        bits.dedup();
        bits
    };
    // The arithmetic with most rings; of equals the first.
    let Some(family) = all
        .iter()
        .map(|one| &one.family)
        .rev()
        .max_by_key(|family| sizes(family).len())
        .cloned()
    else {
        return Ok(None);
    };
    let bits = sizes(&family);
    if bits.len() < 2 {
        return Ok(None);
    }
    let own: Vec<&Deployed> = all.iter().filter(|one| one.family == family).collect();
    let mut twins: Vec<usize> = own.iter().map(|one| one.twin).collect();
    twins.sort_unstable();
    twins.dedup();
    let mut conditions: Vec<&Condition> = Vec::new();
    for condition in own
        .iter()
        .flat_map(|one| &analysis.runs.models[one.model].measured)
    {
        if !conditions.contains(&condition) {
            conditions.push(condition);
        }
    }
    // The ring is about attacks more than about corruptions.
    conditions.sort_by_key(|condition| match condition {
        Condition::Clean => 0,
        Condition::Attack(_) => 1,
        _ => 2,
    });
    conditions.truncate(MOST);
    let panels: Vec<ChartPanel> = conditions
        .into_iter()
        .map(|condition| panel(analysis, &own, &twins, &bits, condition))
        .collect();
    let entries = twins.iter().enumerate().map(|(place, twin)| Entry {
        name: analysis.runs.models[*twin].name.clone(),
        look: Look::model(place, Stroke::Solid),
        line: true,
    });
    let chart = Chart {
        legends: vec![Legend {
            x: whole(WIDE),
            entries: entries.collect(),
        }],
        columns: panels.len().min(3),
        panels,
        height: 170.0,
        width: WIDE,
    };
    let caption = format!(
        "Arithmetic: {family}, in rings of fewer bits; at the right the same weights in floating point. Upright bars are 95 % Wilson \
         intervals.‹ Each kind of image goes through the branch trained for it.›"
    );
    let alt = "Charts of accuracy against the bits of the ring, under each condition. The numbers are in the table of models in a \
               protocol's arithmetic.";
    make(
        "rings",
        "Accuracy against the size of the ring",
        caption,
        alt.to_owned(),
        &chart,
    )
    .map(Some)
}

fn panel(
    analysis: &Analysis,
    own: &[&Deployed],
    twins: &[usize],
    bits: &[u32],
    condition: &Condition,
) -> ChartPanel {
    let share = |model: usize, condition: &Condition| {
        let model = &analysis.runs.models[model];
        analysis
            .tally
            .accuracy(model, BranchPolicy::Oracle.on(&model.branches), condition)
            .ok()
    };
    let line = |(place, twin): (usize, &usize)| {
        let rings = bits.iter().enumerate().filter_map(|(at, bits)| {
            let one = own.iter().find(|one| one.twin == *twin && one.bits == *bits)?;
            Some(Mark::percent(at as f64, &share(one.model, condition)?))
        });
        let float = of_twin(condition)
            .into_iter()
            .find_map(|condition| share(*twin, &condition));
        let float = float.map(|share| Mark::percent(bits.len() as f64, &share));
        Series::new(Look::model(place, Stroke::Solid), rings.chain(float).collect())
    };
    let series: Vec<Series> = twins.iter().enumerate().map(line).collect();
    let names = bits.iter().map(u32::to_string).chain(["float".to_owned()]);
    ChartPanel {
        heading: condition_in_words(analysis, condition),
        note: String::new(),
        across: Axis {
            title: "Bits of the ring".to_owned(),
            range: (-0.4, bits.len() as f64 + 0.4),
            ticks: names.enumerate().map(|(at, name)| (at as f64, name)).collect(),
            upright: false,
        },
        up: Axis::percent("Accuracy (%)", &series),
        series,
    }
}
