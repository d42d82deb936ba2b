//! Decisions, as plain functions of what is known: no clock, no network, no chance inside.
