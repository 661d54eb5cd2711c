//! Questions to the chart that need Helm but no cluster: what it renders, which values it refuses, and whether operator and chart agree.
//!
//! `POSTERN_BLESS=1 cargo test -p postern-e2e --test chart` writes the golden files anew; read the difference before you commit it.

mod alerts;
mod contract;
mod golden;
mod helm;
mod policies;
mod rules;
mod schema;
