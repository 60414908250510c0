"""Operations of FHIR R4: what the services answer to names that begin with a dollar sign."""
