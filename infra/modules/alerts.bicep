// The alerts. Each has a section in docs/RUNBOOK.md of the same name (a test compares them).

@description('Name from which those of the rules are made.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Log Analytics workspace.')
param workspaceId string

@description('Action group that is told.')
param actionGroupId string

module poison 'alert.bicep' = {
  name: 'alert-poison'
  params: {
    name: '${name}-poison'
    location: location
    tags: tags
    summary: 'Messages are in a poison queue.'
    severity: 1
    query: loadTextContent('../queries/alerts/poison.kql')
    dimension: 'Queue'
    every: 'PT5M'
    window: 'PT30M'
    workspaceId: workspaceId
    actionGroupId: actionGroupId
  }
}

module dueSoon 'alert.bicep' = {
  name: 'alert-due-soon'
  params: {
    name: '${name}-due-soon'
    location: location
    tags: tags
    summary: 'An open request is within 7 days of its due date, or past it.'
    severity: 1
    query: loadTextContent('../queries/alerts/due-soon.kql')
    dimension: 'Request'
    every: 'PT15M'
    window: 'PT30M'
    workspaceId: workspaceId
    actionGroupId: actionGroupId
  }
}

module stageFailing 'alert.bicep' = {
  name: 'alert-stage-failing'
  params: {
    name: '${name}-stage-failing'
    location: location
    tags: tags
    summary: 'A stage fails again and again.'
    severity: 2
    query: loadTextContent('../queries/alerts/stage-failing.kql')
    dimension: 'Function'
    every: 'PT5M'
    window: 'PT30M'
    workspaceId: workspaceId
    actionGroupId: actionGroupId
  }
}

module exportDisabled 'alert.bicep' = {
  name: 'alert-export-disabled'
  params: {
    name: '${name}-export-disabled'
    location: location
    tags: tags
    summary: 'The export of an app was found disabled: what App Center drops meanwhile is lost.'
    severity: 2
    query: loadTextContent('../queries/alerts/export-disabled.kql')
    dimension: 'App'
    every: 'PT15M'
    window: 'PT1H'
    workspaceId: workspaceId
    actionGroupId: actionGroupId
  }
}

module standingStill 'alert.bicep' = {
  name: 'alert-standing-still'
  params: {
    name: '${name}-standing-still'
    location: location
    tags: tags
    summary: 'A request stands still, and to wake it did not help.'
    severity: 2
    query: loadTextContent('../queries/alerts/standing-still.kql')
    dimension: 'Request'
    every: 'PT5M'
    window: 'PT45M'
    workspaceId: workspaceId
    actionGroupId: actionGroupId
  }
}

module silent 'alert.bicep' = {
  name: 'alert-silent'
  params: {
    name: '${name}-silent'
    location: location
    tags: tags
    summary: 'No sweep was seen for half an hour: the app does not run, or its telemetry does not arrive.'
    severity: 1
    query: loadTextContent('../queries/alerts/silent.kql')
    dimension: ''
    every: 'PT5M'
    window: 'PT30M'
    workspaceId: workspaceId
    actionGroupId: actionGroupId
  }
}
