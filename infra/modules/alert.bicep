// One alert: a query over the workspace that gives a row for each thing that is wrong. It resolves by itself.

@description('Name of the rule.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('What it means.')
param summary string

@description('0 (critical) to 4 (verbose).')
param severity int

@description('The query; docs/TELEMETRY.md has the names that it counts on.')
param query string

@description('Column by which it splits, so that each thing is told of by itself; empty for none.')
param dimension string

@description('How often it looks.')
param every string

@description('How far back it looks: at least as far as the query does.')
param window string

@description('Log Analytics workspace.')
param workspaceId string

@description('Action group that is told.')
param actionGroupId string

var dimensions = empty(dimension) ? [] : [
  {
    name: dimension
    operator: 'Include'
    values: [
      '*'
    ]
  }
]

resource rule 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: name
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: name
    description: '${summary} docs/RUNBOOK.md, "Alerts", says what to look at and what to do.'
    enabled: true
    severity: severity
    evaluationFrequency: every
    windowSize: window
    scopes: [
      workspaceId
    ]
    criteria: {
      allOf: [
        {
          query: query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: dimensions
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    autoMitigate: true
    // The tables of Application Insights come to be with the first telemetry.
    skipQueryValidation: true
    actions: {
      actionGroups: [
        actionGroupId
      ]
    }
  }
}
