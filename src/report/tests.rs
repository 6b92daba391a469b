//! Worked examples: a plan and outcomes in, a report out.
