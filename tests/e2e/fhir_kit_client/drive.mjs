// Drives a FHIR server with fhir-kit-client as an application would: node drive.mjs BASE_URL
import assert from 'node:assert/strict';
import { Client } from 'fhir-kit-client';

const client = new Client({ baseUrl: process.argv[2] });
const TERMINOLOGY = 'http://terminology.hl7.org/CodeSystem';
const steps = [];
const step = async (name, work) => {
  const result = await work();
  steps.push(name);
  return result;
};
const status = async (work) => {
  try {
    await work();
  } catch (error) {
    return error.response.status;
  }
  return 200;
};

const identifier = { system: 'urn:example:kit', value: String(Date.now()) };
const patient = { resourceType: 'Patient', identifier: [identifier], name: [{ family: 'Kit', given: ['Fhir'] }] };

await step('capabilities', async () => {
  const statement = await client.capabilityStatement();
  assert.equal(statement.fhirVersion, '4.0.1');
});

const created = await step('create', async () => {
  const made = await client.create({ resourceType: 'Patient', body: patient });
  assert.ok(made.id);
  assert.equal(made.meta.versionId, '1');
  return made;
});

await step('conditional create finds it', async () => {
  const again = await client.create({
    resourceType: 'Patient',
    body: patient,
    options: { headers: { 'If-None-Exist': `identifier=${identifier.system}|${identifier.value}` } },
  });
  assert.equal(again.id, created.id);
});

await step('read', async () => {
  const read = await client.read({ resourceType: 'Patient', id: created.id });
  assert.deepEqual(read.name, patient.name);
});

await step('update and vread', async () => {
  const updated = await client.update({
    resourceType: 'Patient', id: created.id, body: { ...created, gender: 'female' },
  });
  assert.equal(updated.meta.versionId, '2');
  const first = await client.vread({ resourceType: 'Patient', id: created.id, version: '1' });
  assert.equal(first.gender, undefined);
});

await step('patch', async () => {
  const patched = await client.patch({
    resourceType: 'Patient', id: created.id, jsonPatch: [{ op: 'replace', path: '/gender', value: 'male' }],
  });
  assert.equal(patched.gender, 'male');
});

await step('transaction', async () => {
  const entry = Array.from({ length: 5 }, (_, number) => ({
    request: { method: 'POST', url: 'Observation' },
    resource: {
      resourceType: 'Observation',
      status: 'final',
      category: [{ coding: [{ system: `${TERMINOLOGY}/observation-category`, code: 'vital-signs' }] }],
      code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
      subject: { reference: `Patient/${created.id}` },
      effectiveDateTime: `2026-01-0${number + 1}T08:00:00Z`,
      valueQuantity: { value: 60 + number, unit: '/min', system: 'http://unitsofmeasure.org', code: '/min' },
    },
  }));
  const answer = await client.transaction({ body: { resourceType: 'Bundle', type: 'transaction', entry } });
  assert.equal(answer.type, 'transaction-response');
  assert.ok(answer.entry.every((each) => each.response.status.startsWith('201')));
});

await step('batch', async () => {
  const answer = await client.batch({
    body: {
      resourceType: 'Bundle',
      type: 'batch',
      entry: [
        { request: { method: 'GET', url: `Patient/${created.id}` } },
        { request: { method: 'GET', url: 'Patient/there-is-none' } },
      ],
    },
  });
  assert.deepEqual(answer.entry.map((each) => each.response.status.slice(0, 3)), ['200', '404']);
});

await step('search, pages to the last', async () => {
  const values = [];
  let page = await client.search({
    resourceType: 'Observation', searchParams: { patient: created.id, _sort: '-date', _count: 2 },
  });
  while (page) {
    values.push(...page.entry.map((each) => each.resource.valueQuantity.value));
    page = page.link.some((each) => each.relation === 'next') ? await client.nextPage({ bundle: page }) : undefined;
  }
  assert.deepEqual(values, [64, 63, 62, 61, 60]);
});

await step('search by POST, with its patient', async () => {
  const page = await client.search({
    resourceType: 'Observation',
    searchParams: { code: 'http://loinc.org|8867-4', patient: created.id, _include: 'Observation:patient' },
    options: { postSearch: true },
  });
  assert.equal(page.entry.filter((each) => each.search.mode === 'include').length, 1);
});

await step('compartment search', async () => {
  const page = await client.compartmentSearch({
    resourceType: 'Observation', compartment: { resourceType: 'Patient', id: created.id },
  });
  assert.equal(page.entry.length, 5);
});

await step('history', async () => {
  const history = await client.history({ resourceType: 'Patient', id: created.id });
  assert.equal(history.total, 3);
  assert.equal((await client.history({ resourceType: 'Patient' })).type, 'history');
  assert.equal((await client.history()).type, 'history');
});

await step('operations', async () => {
  const outcome = await client.operation({ name: 'validate', resourceType: 'Patient', input: patient });
  assert.equal(outcome.resourceType, 'OperationOutcome');
  const everything = await client.operation({
    name: 'everything', resourceType: 'Patient', id: created.id, method: 'get',
  });
  assert.equal(everything.entry.length, 6);
});

await step('delete, gone, never was', async () => {
  await client.delete({ resourceType: 'Patient', id: created.id });
  assert.equal(await status(() => client.read({ resourceType: 'Patient', id: created.id })), 410);
  assert.equal(await status(() => client.read({ resourceType: 'Patient', id: 'there-is-none' })), 404);
});

console.log(JSON.stringify(steps));
