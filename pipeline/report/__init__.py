"""Reports: counts are stored, rates are computed here, when somebody reads."""
