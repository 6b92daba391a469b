// Where telemetry goes: the workspace, Application Insights, and whom alerts tell. The alerts themselves are in
// alerts.bicep, the workbook is in workbook.bicep.

@description('Name from which those of the resources are made.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Days that telemetry is kept.')
param logDays int

@description('Most that is taken in on a day, in GB; -1 for no limit.')
param dailyGigabytes int

@description('Mail address that alerts are sent to; empty for none.')
param alertEmail string

@description('Address that alerts are posted to; empty for none.')
@secure()
param alertWebhook string

var emailReceivers = empty(alertEmail) ? [] : [
  {
    name: 'operator'
    emailAddress: alertEmail
    useCommonAlertSchema: true
  }
]

var webhookReceivers = empty(alertWebhook) ? [] : [
  {
    name: 'operator'
    serviceUri: alertWebhook
    useCommonAlertSchema: true
  }
]

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: '${name}-logs'
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: logDays
    features: {
      disableLocalAuth: true
    }
    workspaceCapping: {
      dailyQuotaGb: dailyGigabytes
    }
  }
}

// It takes telemetry with a token of Entra ID only, from the host and from the handler.
resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: '${name}-insights'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    DisableLocalAuth: true
    IngestionMode: 'LogAnalytics'
    WorkspaceResourceId: workspace.id
  }
}

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: '${name}-operators'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'dsr'
    emailReceivers: emailReceivers
    webhookReceivers: webhookReceivers
  }
}

output workspaceId string = workspace.id
output componentName string = insights.name
output connectionString string = insights.properties.ConnectionString
output actionGroupId string = people.id
