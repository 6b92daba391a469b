// The workbook: where requests are, how close their due dates, and what to do about what went wrong.

@description('Name that the portal shows.')
param displayName string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Log Analytics workspace that the queries go to.')
param workspaceId string

// Charts and tables, from top to bottom. Each query stands in one file.
var tiles = [
  {
    title: 'Requests'
    text: 'Open requests by status and age, and how close the law\'s clock is.'
    query: ''
    chart: ''
    heat: false
  }
  {
    title: 'Open requests'
    text: ''
    query: loadTextContent('../queries/workbook/requests-open.kql')
    chart: 'table'
    heat: false
  }
  {
    title: 'Days left until the due date'
    text: ''
    query: loadTextContent('../queries/workbook/deadline-heat.kql')
    chart: 'table'
    heat: true
  }
  {
    title: 'Fewest days left'
    text: ''
    query: loadTextContent('../queries/workbook/least-days-left.kql')
    chart: 'linechart'
    heat: false
  }
  {
    title: 'Received and ended'
    text: ''
    query: loadTextContent('../queries/workbook/requests-flow.kql')
    chart: 'barchart'
    heat: false
  }
  {
    title: 'Stages'
    text: 'Throughput, and what waits or fails.'
    query: ''
    chart: ''
    heat: false
  }
  {
    title: 'Invocations'
    text: ''
    query: loadTextContent('../queries/workbook/stages.kql')
    chart: 'table'
    heat: false
  }
  {
    title: 'Slices that ended'
    text: ''
    query: loadTextContent('../queries/workbook/slices.kql')
    chart: 'areachart'
    heat: false
  }
  {
    title: 'Items'
    text: ''
    query: loadTextContent('../queries/workbook/items.kql')
    chart: 'table'
    heat: false
  }
  {
    title: 'App Center'
    text: 'Calls, and the budget that the token has.'
    query: ''
    chart: ''
    heat: false
  }
  {
    title: 'Calls in the running window'
    text: ''
    query: loadTextContent('../queries/workbook/api-budget.kql')
    chart: 'linechart'
    heat: false
  }
  {
    title: 'Seconds of waiting'
    text: ''
    query: loadTextContent('../queries/workbook/api-throttled.kql')
    chart: 'barchart'
    heat: false
  }
  {
    title: 'Calls by outcome'
    text: ''
    query: loadTextContent('../queries/workbook/api-calls.kql')
    chart: 'table'
    heat: false
  }
  {
    title: 'Search and archive'
    text: 'What was read, and which days are missing.'
    query: ''
    chart: ''
    heat: false
  }
  {
    title: 'Read and found'
    text: ''
    query: loadTextContent('../queries/workbook/search.kql')
    chart: 'table'
    heat: false
  }
  {
    title: 'Gaps of the archive'
    text: ''
    query: loadTextContent('../queries/workbook/coverage-gaps.kql')
    chart: 'table'
    heat: false
  }
  {
    title: 'Exports found disabled'
    text: ''
    query: loadTextContent('../queries/workbook/exports.kql')
    chart: 'table'
    heat: false
  }
  {
    title: 'Failures'
    text: 'What went wrong, and what to do. docs/RUNBOOK.md has more.'
    query: ''
    chart: ''
    heat: false
  }
  {
    title: 'Failures'
    text: ''
    query: loadTextContent('../queries/workbook/failures.kql')
    chart: 'table'
    heat: false
  }
  {
    title: 'Poison queues'
    text: ''
    query: loadTextContent('../queries/workbook/poison.kql')
    chart: 'table'
    heat: false
  }
  {
    title: 'Exceptions of reports'
    text: ''
    query: loadTextContent('../queries/workbook/report-exceptions.kql')
    chart: 'table'
    heat: false
  }
]

// Columns of the deadline heat.
var jurisdictions = [
  'EU'
  'UK'
  'California'
]

var heatFormatters = [for column in jurisdictions: {
  columnMatch: column
  formatter: 8
  formatOptions: {
    min: 0
    palette: 'orange'
  }
}]

// The choice of time at the top: a week, until another is chosen.
var parameters = [
  {
    name: 'parameters'
    type: 9
    content: {
      version: 'KqlParameterItem/1.0'
      style: 'pills'
      queryType: 0
      resourceType: 'microsoft.operationalinsights/workspaces'
      parameters: [
        {
          id: guid(resourceGroup().id, 'TimeRange')
          version: 'KqlParameterItem/1.0'
          name: 'TimeRange'
          label: 'Time'
          type: 4
          isRequired: true
          value: {
            durationMs: 604800000
          }
          typeSettings: {
            allowCustom: true
            selectableValues: [
              {
                durationMs: 86400000
              }
              {
                durationMs: 604800000
              }
              {
                durationMs: 2592000000
              }
            ]
          }
        }
      ]
    }
  }
]

// A text is an item of type 1, a query one of type 3.
var contents = [for (tile, index) in tiles: {
  name: 'tile-${index}'
  type: empty(tile.query) ? 1 : 3
  content: empty(tile.query) ? {
    json: '## ${tile.title}\n\n${tile.text}'
  } : {
    version: 'KqlItem/1.0'
    query: tile.query
    title: tile.title
    size: 0
    queryType: 0
    resourceType: 'microsoft.operationalinsights/workspaces'
    visualization: tile.chart
    timeContextFromParameter: 'TimeRange'
    gridSettings: {
      formatters: tile.heat ? heatFormatters : []
    }
  }
}]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'appcenter-dsr')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: displayName
    category: 'workbook'
    sourceId: workspaceId
    version: 'Notebook/1.0'
    serializedData: string({
      version: 'Notebook/1.0'
      items: concat(parameters, contents)
      fallbackResourceIds: [
        workspaceId
      ]
    })
  }
}
